"""Course of a run from its journal, which is read on where the last look ended."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from common.errors import StateError, UnreadableFileError
from server.records.dropped import Dropped
from server.records.journal import FILE_NAME, AssessmentRecord, RoundFigures, RoundRecord, RunRecord

_LINE: TypeAdapter[RunRecord | RoundFigures | AssessmentRecord] = TypeAdapter(
    Annotated[RunRecord | RoundFigures | AssessmentRecord, Field(discriminator="record")]
)


_CHUNK = 1 << 22
"""Bytes that are read from the file at once."""


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
        missing: hospital -> number of exchanges without a part in them.
        reasons: hospital -> the last of these exchanges, and why.
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
        self.missing: Counter[str] = Counter()
        self.reasons: dict[str, tuple[RoundFigures, Dropped]] = {}

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

    def _take(self, line: bytes) -> None:
        try:
            record = _LINE.validate_json(line)
        except ValidationError:
            raise self._damaged() from None
        if isinstance(record, RunRecord):
            self.runs.append(record)
        elif isinstance(record, AssessmentRecord):
            self.assessment.append(record)
        else:
            self._starts.append(self._read)
            self.rounds.append(record)
            self.trained += record.kind == "train"
            sites = {dropped.site: dropped for dropped in record.dropped if dropped.site is not None}
            self.missing.update(sites.keys())
            self.reasons.update((site, (record, dropped)) for site, dropped in sites.items())

    def _damaged(self) -> UnreadableFileError:
        return UnreadableFileError(str(self._path), "is damaged", "put it back from a backup")
