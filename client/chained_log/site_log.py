"""Lasting log of a site: entries that stay, and of which none goes unnoticed.

A log is a file of JSON lines in `SITE/records/`, chained by hashes; the copy of its end lies outside the site folder,
filed by the node key. A log with entries and without that copy is refused like one that is behind it: a backup that
was restored elsewhere, another user's state folder and a deleted copy all look like that. The hospital acknowledges
what it cannot put back; entries that can still be read stay.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.chained_log.chain import ChainEnd
from client.chained_log.end_copies import outside_path, read_copy, write_copy
from client.chained_log.lines import append_line, cut_unfinished, whole_lines
from client.chained_log.lock import PATIENCE_S, exclusive
from client.site_folder.outside import node_key_of, state_folder
from common.errors import Refusal, RefusalCode
from common.files import copy_whole, sync_folder, write_whole

FOLDER = "records"
"""Folder of the logs in a site folder."""


_KIND, _ASIDE = "record-", "-until-"


NO_LINES = ChainEnd(0, "0" * 64)


Content = TypeVar("Content", bound=BaseModel)


class Acknowledgement(BaseModel):
    """Note of a hospital about entries that it could not put back.

    Attributes:
        at: when, ISO 8601 in UTC.
        acknowledged: what the hospital wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    acknowledged: str


class LogEnd(BaseModel):
    """End of a log: number of lines, and the hash of the last one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    hash: str


@dataclass
class OpenLog(Generic[Content]):
    """Log that no other process can write meanwhile, verified.

    Attributes:
        contents: of the entries, the first one first.
        losses: acknowledged losses, each with the number of contents before it.
    """

    path: Path
    outside: Path
    end: ChainEnd
    contents: list[Content] = field(default_factory=list)
    losses: list[tuple[int, Acknowledgement]] = field(default_factory=list)

    def append(self, content: Content) -> None:
        """Add an entry; when this returns, it outlasts a power cut.

        Raises:
            Refusal: RECORD_UNAVAILABLE if it cannot be written.
        """
        line, self.end = _line(content.model_dump(mode="json"), self.end)
        with _refusing():
            append_line(self.path, line)
            if self.end.count == 1:
                sync_folder(self.path.parent)
            _write_end(self.outside, self.end)
        self.contents.append(content)


class SiteLog(Generic[Content]):
    """Lasting log of one kind of entry.

    Args:
        site: the site folder.
        name: of the log, and of its file.
        kind: model of an entry's content; it has no field `acknowledged`.
    """

    def __init__(self, site: Path, name: str, kind: type[Content]) -> None:
        self._site, self._name, self._kind = site, name, kind

    @property
    def path(self) -> Path:
        """File of the log."""
        return self._site / FOLDER / f"{self._name}.jsonl"

    @contextmanager
    def opened(self, patience_s: float = PATIENCE_S) -> Iterator[OpenLog[Content]]:
        """Verify the log and keep other processes from writing it meanwhile.

        Raises:
            Refusal: RECORD_INVALID if it was changed, set back or lost, or nothing outside the site folder confirms
                it; RECORD_UNAVAILABLE if it cannot be read or written, or another process does not finish with it.
        """
        with ExitStack() as stack:
            with _refusing():
                stack.enter_context(exclusive(self.path, patience_s))
                log = self._verified()
            yield log

    def contents(self) -> tuple[Content, ...]:
        """Contents of all entries, the first one first.

        Raises:
            Refusal: as `opened`.
        """
        with self.opened() as log:
            return tuple(log.contents)

    def _verified(self) -> OpenLog[Content]:
        outside = _outside(self._name, self._site)
        copy = read_copy(outside, LogEnd)
        cut_unfinished(self.path)
        lines, _ = whole_lines(self.path)
        log = OpenLog[Content](self.path, outside, NO_LINES)
        hashes = []
        for line in lines:
            body, digest = _read_line(line)
            expected, log.end = _line(body, log.end)
            if expected != line or digest != log.end.hash:
                raise Refusal(RefusalCode.RECORD_INVALID)
            hashes.append(digest)
            self._sort_in(body, log)
        if copy is None:
            if lines:
                raise Refusal(RefusalCode.RECORD_INVALID)
            _write_end(outside, NO_LINES)  # before the first line: a log without a copy is refused
        elif not ChainEnd(copy.count, copy.hash).is_in(hashes):
            raise Refusal(RefusalCode.RECORD_INVALID)
        return log

    def _sort_in(self, body: object, log: OpenLog[Content]) -> None:
        if isinstance(body, dict) and "acknowledged" in body:
            log.losses.append((len(log.contents), Acknowledgement.model_validate(body)))
        else:
            log.contents.append(self._kind.model_validate_json(json.dumps(body)))


def acknowledge_records(site: Path, note: str) -> tuple[str, ...]:
    """Accept the logs of a site as they are, where one was set back, damaged or lost.

    Lines that can still be read stay, and a note follows them; a damaged file is kept aside.

    Returns:
        Names of the logs that were not as they should be.

    Raises:
        Refusal: RECORD_UNAVAILABLE if one cannot be read or written.
    """
    with _refusing():
        files = {path.stem for path in (site / FOLDER).glob("*.jsonl") if _ASIDE not in path.stem}
        copied = {path.name.removeprefix(_KIND) for path in state_folder().glob(f"{_KIND}*")}
        names = sorted(name for name in files | copied if name in files or _outside(name, site).exists())
    return tuple(name for name in names if _acknowledged(site, name, note))


def _acknowledged(site: Path, name: str, note: str) -> bool:
    log = SiteLog(site, name, _Anything)
    try:
        with log.opened():
            return False
    except Refusal as refusal:
        if refusal.code != RefusalCode.RECORD_INVALID:
            raise
    now = datetime.now(UTC)
    with _refusing(), exclusive(log.path):
        lines, _ = whole_lines(log.path)
        if lines:
            copy_whole(log.path, log.path.with_stem(f"{name}{_ASIDE}{now:%Y%m%dT%H%M%S%f}"))
        bodies = [body for body in map(_readable, lines) if body is not None]
        new, end = [], NO_LINES
        for body in (*bodies, Acknowledgement(at=now.isoformat(), acknowledged=note).model_dump()):
            line, end = _line(body, end)
            new.append(line + b"\n")
        write_whole(log.path, b"".join(new), 0o600)
        _write_end(_outside(name, site), end)
    return True


class _Anything(BaseModel):
    """Content of a log of any kind."""

    model_config = ConfigDict(extra="allow")


def _outside(name: str, site: Path) -> Path:
    return outside_path(f"{_KIND}{name}", site, node_key_of(site))


def _write_end(path: Path, end: ChainEnd) -> None:
    write_copy(path, LogEnd(count=end.count, hash=end.hash), 0o600)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise Refusal(RefusalCode.RECORD_INVALID) from error
    except OSError as error:
        raise Refusal(RefusalCode.RECORD_UNAVAILABLE) from error


def _line(body: object, end: ChainEnd) -> tuple[bytes, ChainEnd]:
    """Make (line, new end) of an entry that follows a chain which ends there."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    new = end.followed_by(text)
    return f'{{"entry":{text},"hash":"{new.hash}"}}'.encode(), new


def _read_line(line: bytes) -> tuple[object, str]:
    try:
        content = json.loads(line)
        return content["entry"], str(content["hash"])
    except (ValueError, TypeError, KeyError):
        raise Refusal(RefusalCode.RECORD_INVALID) from None


def _readable(line: bytes) -> object | None:
    try:
        return _read_line(line)[0]
    except Refusal:
        return None
