"""Last reply of a hospital to a run, kept as it left.

A coordinator that was interrupted asks again for the exchange at hand. It gets the same bytes: nothing is trained,
drawn or entered in the privacy ledger a second time. The reply is written before it leaves, and belongs to one request:
agreement, name of the run, kind, round, and everything that was sent, weights included. Any other request, and any
other `site.toml`, gets no kept reply.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flwr.app import ConfigRecord, RecordDict

from client.flower.internals import content_bytes, read_content
from client.site_folder.places import Home
from client.site_folder.site_file import SITE_FILE
from common.errors import MachineError
from common.files import read_private, write_whole
from common.messages.exchange import PACKED
from common.messages.run_identity import run_label

log = logging.getLogger("consilium.kept_reply")


MOST_RUNS = 8
"""Runs of which a last reply is kept: those that answered most recently."""


NOT_ASKED = frozenset({"countersignature"})
"""Values of a request's header that are no part of the question."""


class KeptReply:
    """Last reply to the run of a request.

    Args:
        home: the site folder.
        kind: type of the request.
        content: of the request.
        flower_run: Flower's number of the run.
    """

    def __init__(self, home: Home, kind: str, content: RecordDict, flower_run: int) -> None:
        name = hashlib.sha256(run_label(content, flower_run).encode()).hexdigest()[:32]
        self._path = home.answers / f"{name}.reply"
        self._site_file = home.folder / SITE_FILE
        self._question = _question(kind, content)

    @contextmanager
    def exclusively(self) -> Iterator[None]:
        """Keep another process from answering the same run, until this one has or has ended."""
        self._path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def find(self) -> RecordDict | None:
        """Return the reply that was kept for this very request; None if there is none."""
        try:
            stored = read_private(self._path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("the kept reply is not used: %s", type(error).__name__)
            return None
        if stored is None:
            log.warning("the kept reply is not used: other users can read or write its file")
            return None
        head, _, body = stored.partition(b"\n")
        try:
            header = json.loads(head)
            if header["question"] != self._question or header["site"] != self._site():
                return None
            if header["sha256"] == hashlib.sha256(body).hexdigest():
                return read_content(body)
        except (ValueError, LookupError, TypeError, RecursionError):
            pass
        log.warning("the kept reply is not used: its file is damaged")
        return None

    def keep(self, reply: RecordDict) -> None:
        """Keep the reply to this request in place of the run's last one, before it leaves.

        Raises:
            InputError: if it cannot be written; it must not leave then.
        """
        body = content_bytes(reply)
        header = {
            "question": self._question,
            "site": self._site(),
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        try:
            self._path.parent.parent.mkdir(mode=0o700, exist_ok=True)
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_whole(self._path, json.dumps(header).encode() + b"\n" + body, 0o600)
        except OSError as error:
            what = f"cannot be written ({type(error).__name__})"
            remedy = "free space on the disk, and let this user write to the folder"
            raise MachineError(str(self._path), what, remedy) from error
        _remove_oldest(self._path.parent)

    def _site(self) -> str:
        return hashlib.sha256(self._site_file.read_bytes()).hexdigest()


def forget_replies(home: Home) -> None:
    """Remove every kept reply, as when a hospital approves anew: perhaps a patient has left."""
    if home.answers.is_dir():
        for path in home.answers.glob("*.reply"):
            path.unlink(missing_ok=True)


def _remove_oldest(folder: Path) -> None:
    replies = sorted(folder.glob("*.reply"), key=lambda path: path.stat().st_mtime_ns)
    for path in replies[:-MOST_RUNS]:
        for other in (path, path.with_suffix(".lock")):
            with suppress(OSError):
                other.unlink()


def _question(kind: str, content: RecordDict) -> str:
    """Return the SHA-256 of everything that a request asks."""
    total = hashlib.sha256(kind.encode())
    header = content.config_records.get("header", ConfigRecord())
    for key in sorted(set(header) - NOT_ASKED):
        value = header[key]
        total.update(f"\n{key}=".encode())
        total.update(value if isinstance(value, bytes) else repr(value).encode())
    packed = content.array_records.get(PACKED)
    for name in sorted(packed or ()):
        assert packed is not None
        total.update(f"\n{name}:".encode())
        total.update(packed[name].data)
    return total.hexdigest()
