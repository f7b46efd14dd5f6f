"""Course of a run from its journal, which is read on where the last look ended."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from common.errors import StateError, UnreadableFileError
from server.records.dropped import Dropped
from server.records.journal import (
    FILE_NAME,
    AssessmentRecord,
    CheckpointRecord,
    RoundFigures,
    RoundRecord,
    RunRecord,
)

_LINE: TypeAdapter[RunRecord | RoundFigures | AssessmentRecord | CheckpointRecord] = TypeAdapter(
    Annotated[RunRecord | RoundFigures | AssessmentRecord | CheckpointRecord, Field(discriminator="record")]
)


_CHUNK = 1 << 22
"""Bytes that are read from the file at once."""


@dataclass(frozen=True)
class Absences:
    """Exchanges of a run without a part of one hospital.

    Attributes:
        number: of exchanges.
        last: the last of them.
        dropped: reason at that time.
    """

    number: int
    last: RoundFigures
    dropped: Dropped


class RunHistory:
    """Course of a run without the replies in its rounds.

    Journals grow while they are read, and may be very long.

    Args:
        out: the run's folder.

    Attributes:
        runs: the run as it started, was resumed and ended.
        rounds: exchanges in order.
        trained: number of them in which hospitals trained.
        assessment: questions about the kept weights in order.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / FILE_NAME
        self._begin(None)

    def _begin(self, file: int | None) -> None:
        self._file, self._read = file, 0
        self._starts: list[int] = []
        self.runs: list[RunRecord] = []
        self.rounds: list[RoundFigures] = []
        self.trained = 0
        self.assessment: list[AssessmentRecord] = []

    @property
    def position(self) -> int:
        """Bytes of the journal that were read."""
        return self._read

    @property
    def last(self) -> RunRecord | None:
        """The run as its latest record has it; None before the first."""
        return self.runs[-1] if self.runs else None

    def read(self, most: int | None = None) -> bool:
        """Read the lines that were completed since; `most` bytes or little more, if it is given.

        Returns:
            Whether there may be more.

        Raises:
            InputError: if a line is damaged.
        """
        if not self._path.is_file():
            self._begin(None)
            return False
        with self._path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_ino != self._file or status.st_size < self._read:  # another journal than before
                self._begin(status.st_ino)
            file.seek(self._read)
            stop = None if most is None else self._read + most
            rest = b""
            while stop is None or self._read < stop:
                chunk = file.read(_CHUNK)
                if not chunk:
                    return False
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)
                    self._read += len(line) + 1
        return True

    def round_record(self, index: int) -> RoundRecord:
        """Read an exchange with all its replies again, by its place in `rounds`.

        Raises:
            InputError: if there is no such exchange, or its line is damaged.
        """
        if not 0 <= index < len(self._starts):
            raise StateError(str(self._path), "has no such round", "name one that was done")
        with self._path.open("rb") as file:
            file.seek(self._starts[index])
            try:
                return RoundRecord.model_validate_json(file.readline())
            except ValidationError:
                raise self._damaged() from None

    def absences(self) -> dict[str, Absences]:
        """Count the exchanges without a part of a hospital, by hospital."""
        counts: Counter[str] = Counter()
        latest: dict[str, tuple[RoundFigures, Dropped]] = {}
        for record in self.rounds:
            sites = {dropped.site: dropped for dropped in record.dropped if dropped.site is not None}
            counts.update(sites.keys())
            latest.update((site, (record, dropped)) for site, dropped in sites.items())
        return {site: Absences(counts[site], *latest[site]) for site in latest}

    def _take(self, line: bytes) -> None:
        try:
            record = _LINE.validate_json(line)
        except ValidationError:
            raise self._damaged() from None
        if isinstance(record, RunRecord):
            self.runs.append(record)
        elif isinstance(record, AssessmentRecord):
            self.assessment.append(record)
        elif isinstance(record, RoundFigures):
            self._repeat(record)
            self._starts.append(self._read)
            self.rounds.append(record)
            self.trained += record.kind == "train"

    def _repeat(self, record: RoundFigures) -> None:
        """Forget an exchange that comes again, and those after it: their checkpoint was lost."""
        if not self.rounds or record.round > self.rounds[-1].round:
            return
        for index, earlier in enumerate(self.rounds):
            if (earlier.kind, earlier.round) == (record.kind, record.round):
                self.trained -= sum(forgotten.kind == "train" for forgotten in self.rounds[index:])
                self.rounds, self._starts = self.rounds[:index], self._starts[:index]
                return

    def _damaged(self) -> UnreadableFileError:
        return UnreadableFileError(str(self._path), "is damaged", "put it back from a backup")


_TAIL = 1 << 16
"""Bytes at the end of a journal that are read first for its last record."""


def first_and_last(out: Path) -> tuple[RunRecord | None, RunRecord | RoundFigures | None]:
    """Read the start of a run and its latest exchange or end, without the journal between them.

    Raises:
        InputError: if one of these lines is damaged.
    """
    path = out / FILE_NAME
    if not path.is_file():
        return None, None
    try:
        with path.open("rb") as file:
            line = file.readline()
            first = _LINE.validate_json(line) if line.endswith(b"\n") else None
            end, length = file.seek(0, os.SEEK_END), _TAIL
            last = None
            while last is None:
                file.seek(max(end - length, 0))
                whole = file.read(min(length, end)).rpartition(b"\n")[0]
                *earlier, latest = whole.split(b"\n")
                lines = (
                    [*earlier, latest] if length >= end else [*earlier[1:], *([latest] if earlier else [])]
                )
                records = (_LINE.validate_json(line) for line in reversed(lines) if line)
                last = next(
                    (record for record in records if isinstance(record, RunRecord | RoundFigures)), None
                )
                if length >= end:
                    break
                length *= 8
    except ValidationError:
        raise UnreadableFileError(str(path), "is damaged", "put it back from a backup") from None
    return first if isinstance(first, RunRecord) else None, last
