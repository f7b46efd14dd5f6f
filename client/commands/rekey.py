"""Command `consilium site rekey`: a new node key, and an archive of the old one's receipts.

Receipts are signed with the node key and chained: receipts of another key cannot follow them. The receipts of the old
key move to an archive with the public key that verifies them, and the count outside the site folder starts again. The
privacy ledger and the other records go on: what is known of their ends outside the site folder passes to the new key.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from client.chained_log.end_copies import carry_over
from client.receipts.acknowledgement import archive
from client.receipts.outside_count import restart_outside_count
from client.runtime.services import state_file
from client.site_folder.keys import new_key, read_key, read_public_key
from client.site_folder.places import Home
from common.errors import StateError
from common.files import write_whole
from common.node_keys import fingerprint, text_fingerprint
from common.processes.supervision_state import leftovers, read_state


@dataclass(frozen=True)
class KeyChange:
    """Change of a node key.

    Attributes:
        old: fingerprint of the key that was replaced.
        new: fingerprint of the key that the coordinator is to enrol.
        archive: the folder of the old key's receipts; None if it had signed none.
    """

    old: str
    new: str
    archive: Path | None


def rekey(home: Home) -> KeyChange:
    """Replace the node key.

    A process that is killed meanwhile leaves the old key or the new one, and all receipts.

    Raises:
        InputError: if there is no key, or the site or anything of it runs.
        OSError: if the state folder cannot be written; the old key is then still there.
    """
    if (running := read_state(state_file(home))) is not None:
        what = f"this site runs, as process {running.pid}"
        raise StateError(str(home.folder), what, "end it by `consilium site stop` first")
    if left := leftovers(state_file(home)):
        what = f"the supervisor was killed, but {', '.join(left)} of this site still run"
        raise StateError(str(home.folder), what, "end them by `consilium site stop` first")
    public = read_key(home.key).public_key()
    archived = archive(home.receipts, public) if home.receipts.parent.is_dir() else None
    private, new = new_key()
    carry_over(fingerprint(public), text_fingerprint(new))
    write_whole(home.key, private, 0o600)
    write_whole(home.public_key, new)
    with suppress(OSError):  # until the new key's first receipt the archive is as good
        restart_outside_count(home.receipts, read_public_key(home.public_key))
    return KeyChange(fingerprint(public), fingerprint(read_key(home.key).public_key()), archived)
