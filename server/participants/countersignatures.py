"""Countersignatures of hospitals' receipts, signed as a run begins.

They count the messages in the journals of all runs before it. The authority's key signs them where the run is started,
by the command: the process that does a run's work hands them on and never has the key.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.countersignature import Received, countersigned
from common.errors import UnreadableFileError
from common.files import write_whole
from server.home.certificates import read_signer
from server.home.places import ENROLLED, CoordinatorHome
from server.participants.enrolment import Enrolled, read_enrolled
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import AssessmentRecord, RoundRecord, RunRecord, read_journal

FILE_NAME = "countersignatures.json"


Countersignatures = dict[str, str]
"""Site -> signed statement."""


_FILE: TypeAdapter[Countersignatures] = TypeAdapter(Countersignatures)


def write_countersignatures(
    home: CoordinatorHome, out: Path, enrolled: Enrolled, runs: Iterable[tuple[str, Path]]
) -> None:
    """Write into the folder of a run what was received of every hospital enrolled.

    Messages under the hospital's present key count.

    Args:
        home: the coordinator's folder.
        out: folder of the run that begins.
        enrolled: hospitals of this run.
        runs: (name in receipts, folder) of all runs so far, in order.

    Raises:
        InputError: if the authority's key is missing, or a journal is damaged.
    """
    signer = read_signer(home.authority_key)
    messages: dict[str, list[tuple[str, str]]] = {}
    for label, folder in runs:
        keys = read_enrolled(folder / ENROLLED)
        for site, sha256 in _received(folder):
            if site in keys:
                messages.setdefault(keys[site].fingerprint, []).append((label, sha256))
    signed = {
        site: countersigned(Received.of(key, messages.get(key, [])), signer)
        for site, key in ((site, enrolment.fingerprint) for site, enrolment in enrolled.items())
    }
    write_whole(out / FILE_NAME, _FILE.dump_json(signed))


def read_countersignatures(out: Path) -> Countersignatures:
    """Read the statements of a run.

    Raises:
        InputError: if the file is missing or damaged.
    """
    path = out / FILE_NAME
    try:
        return _FILE.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        what = "is missing or damaged"
        raise UnreadableFileError(
            str(path), what, "start runs by `consilium coordinator run` alone"
        ) from None


def _received(folder: Path) -> Iterator[tuple[str, str]]:
    """(site, SHA-256) of the messages that a run accepted."""
    records = read_journal(folder) if (folder / JOURNAL).is_file() else []
    statistics = next((record.statistics for record in records if isinstance(record, RunRecord)), {})
    yield from statistics.items()
    for record in records:
        if isinstance(record, RoundRecord | AssessmentRecord):
            yield from ((site, reply.sha256) for site, reply in record.sites.items() if reply.sha256)
