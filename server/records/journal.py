"""Journal of a run: a JSON object a line, written as things happen and never changed."""

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from common.errors import IntegrityError, UnreadableFileError
from common.files import naming
from common.installed_code import Software
from common.messages.exchange import Numbers
from common.models.activity import Activity
from server.records.apart import Apart
from server.records.dropped import Dropped

FILE_NAME = "journal.jsonl"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SiteRecord(_Record):
    """Figures that a site reported.

    Attributes:
        patients: averaging group -> training patients, by which the site's weights count in that group's average;
            empty in an evaluation.
        metrics: as in `common.messages.exchange.EvaluateReply`.
        sha256: of the reply's content as it came, the same as in the hospital's own receipt.
    """

    patients: Numbers = {}
    metrics: Numbers
    sha256: str = ""


class _Figures(_Record):
    """Figures of an exchange; the fields of a line come in the order of these classes."""

    record: Literal["round"] = "round"
    kind: Literal["train", "evaluate"]
    round: int
    seconds: float
    training_loss: float | None = None
    validation_loss: float | None = None
    validation_error: float | None = None
    validation_noise: float | None = None
    concordance: dict[str, float] = Field(
        default={}, validation_alias=AliasChoices("concordance", "scores")
    )  # the second is the name in journals of earlier versions


class RoundRecord(_Figures):
    """One exchange with all sites.

    The metrics of round r describe the model that was sent out, that is, the weights after round r - 1;
    after the last round of training one `evaluate` exchange, numbered one higher, describes the last weights.

    Attributes:
        seconds: from the requests to the result.
        training_loss: mean per training patient.
        validation_loss: mean per validation patient over all sites whose loss is finite.
        validation_error: its standard error, noise apart.
        validation_noise: standard deviation of the noise in it that the hospitals added.
        concordance: task -> concordance of the model's order of patients, pooled over the sites' pairs.
        applied: whether a quorum replied, so that the result counts.
    """

    sites: dict[str, SiteRecord] = {}
    dropped: tuple[Dropped, ...] = ()
    applied: bool


class RoundFigures(_Figures):
    """Exchange without the replies of its hospitals, which are most of a line."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    dropped: tuple[Dropped, ...] = ()
    applied: bool


class AssessedSite(_Record):
    """Reply of a site to a question of an assessment.

    Attributes:
        patients: that the sums are about.
        sha256: of the reply's content as it came.
    """

    patients: int
    sha256: str


class AssessmentRecord(_Record):
    """Question of the assessment of a run's kept weights, and who answered.

    Attributes:
        part: of the assessment.
        number: of the question in its part, from 0.
        seconds: from the requests to the last reply.
    """

    record: Literal["assessment"] = "assessment"
    part: str
    number: int
    seconds: float
    sites: dict[str, AssessedSite] = {}
    dropped: tuple[Dropped, ...] = ()


class RunRecord(_Record):
    """A run as it starts, and again as it ends.

    Attributes:
        at: when the record was written, ISO 8601 in UTC.
        status: `resumed` if it goes on from a checkpoint, `partial` if any round lacked a quorum, `failed` if the run
            gave no model.
        sites: participants with a part in the run.
        left_out: nodes and participants without.
        withheld: site -> statistic -> entries it withheld for having too few patients.
        statistics: site -> SHA-256 of its statistics reply as it came, the same as in the hospital's own receipt.
        rounds: rounds of training done, those before it was resumed included.
        best_round: the round the kept weights come from; 0 is the initial model.
        best_loss: their validation loss, if any site could tell.
        private: whether hospitals keep their numbers of patients, as under `[privacy]`; they then count as 1 patient.
        activity: of the parts of the kept model, on made-up patients; None in journals of earlier versions, and where
            the model offers no parts.
        software: of the coordinator, once the run has a model; None in journals of earlier versions.
        apart: columns and follow-up of hospitals that lie far from those of others.
    """

    record: Literal["run"] = "run"
    at: str = ""
    status: Literal["started", "resumed", "completed", "partial", "failed"]
    federation: str
    digest: str
    strategy: str
    fold: int
    seed: int
    sites: tuple[str, ...] = ()
    left_out: tuple[Dropped, ...] = ()
    withheld: dict[str, Numbers] = {}
    statistics: dict[str, str] = {}
    rounds: int = 0
    best_round: int | None = None
    best_loss: float | None = None
    private: bool = False
    # an absent field stays absent: lines of earlier versions are compared byte by byte
    activity: Activity | None = Field(default=None, exclude_if=lambda activity: activity is None)
    software: Software | None = Field(default=None, exclude_if=lambda software: software is None)
    apart: tuple[Apart, ...] = Field(default=(), exclude_if=lambda apart: not apart)


class CheckpointRecord(_Record):
    """Checkpoint that was written after an exchange, from which the run can be resumed.

    Attributes:
        steps: exchanges behind it, 0 before the first round.
        round: rounds of training behind it.
        sha256: of its file `state.json`, which fixes all others.
    """

    record: Literal["checkpoint"] = "checkpoint"
    steps: int
    round: int
    sha256: str


UNFINISHED = ("started", "resumed")
"""Status of a run that goes on, or was interrupted."""


class JournalMark(_Record):
    """Length and SHA-256 of a journal at a moment, to know its lines again."""

    size: int = 0
    sha256: str = hashlib.sha256().hexdigest()


JournalRecord = RunRecord | RoundRecord | AssessmentRecord | CheckpointRecord


_LINE: TypeAdapter[JournalRecord] = TypeAdapter(Annotated[JournalRecord, Field(discriminator="record")])


class Journal:
    """Writer that appends records to the journal in a folder.

    A record is handed to the operating system before `write` returns.
    """

    def __init__(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        _cut_unfinished_line(out / FILE_NAME)
        self._file = (out / FILE_NAME).open("a", encoding="utf-8")
        content = (out / FILE_NAME).read_bytes()
        self._size, self._hash = len(content), hashlib.sha256(content)

    def complete(self, record: RoundRecord | None) -> None:
        """Append a resumed run's last exchange, if the interrupted process did not."""
        rounds = [written for written in read_journal(self._out) if isinstance(written, RoundRecord)]
        if record is not None and record not in rounds:
            self.write(record)

    def write(self, record: JournalRecord) -> None:
        """Append one record; a run's record gets the time."""
        if isinstance(record, RunRecord):
            record = record.model_copy(update={"at": datetime.now(UTC).isoformat(timespec="seconds")})
        line = record.model_dump_json() + "\n"
        with naming(self._out / FILE_NAME):
            self._file.write(line)
            self._file.flush()
        self._size += len(line.encode())
        self._hash.update(line.encode())

    def mark(self) -> JournalMark:
        """Mark the end of what was written, which then outlasts a power cut."""
        with naming(self._out / FILE_NAME):
            os.fsync(self._file.fileno())
        return JournalMark(size=self._size, sha256=self._hash.hexdigest())

    def __enter__(self) -> Self:
        """The journal itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, which then outlasts a power cut."""
        with naming(self._out / FILE_NAME):
            os.fsync(self._file.fileno())
            self._file.close()


def rounds_kept(out: Path) -> int | None:
    """Return the rounds behind the last checkpoint of a run; None if it has none.

    Raises:
        InputError: if the journal is damaged.
    """
    records = read_journal(out) if (out / FILE_NAME).is_file() else []
    return next((record.round for record in reversed(records) if isinstance(record, CheckpointRecord)), None)


def check_journal(
    out: Path, mark: JournalMark, record: RoundRecord | None, is_set_back: bool = False
) -> None:
    """Check that a journal in a folder is the marked one, and what was written after the mark.

    That is the record of the exchange that the mark was made in, and records of the run's start, checkpoints,
    assessment and end.

    Args:
        out: the run's folder.
        mark: end of the journal at that time.
        record: of the exchange.
        is_set_back: whether a later checkpoint was lost, so that later exchanges are in the journal too.

    Raises:
        IntegrityError: if any byte differs.
    """
    path = out / FILE_NAME
    content = path.read_bytes() if path.is_file() else b""
    lines = content[mark.size :].split(b"\n")[:-1]  # the last is empty, or was still being written
    is_marked = hashlib.sha256(content[: mark.size]).hexdigest() == mark.sha256
    if not is_marked or not all(_may_follow(line, record, is_set_back) for line in lines):
        what = "is not the journal that belongs to the checkpoint"
        raise IntegrityError(str(path), what, "put it back from a backup, or begin the run again")


def _may_follow(line: bytes, record: RoundRecord | None, is_set_back: bool) -> bool:
    try:
        written = read_record(line.decode())
    except ValueError:
        return False
    is_expected = not isinstance(written, RoundRecord) or is_set_back or written == record
    return is_expected and written.model_dump_json().encode() == line


def _cut_unfinished_line(path: Path) -> None:
    """Cut a last line that was still being written when its process ended."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def read_journal(out: Path) -> list[JournalRecord]:
    """Read the records of the journal in a folder, without a last line that is half written.

    An exchange that was repeated because its checkpoint was lost is there once, as it was the last time.

    Raises:
        InputError: if another line is damaged.
    """
    path = out / FILE_NAME
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        return _last_of_each([read_record(line) for line in lines if line.endswith("\n")])
    except ValidationError:
        raise UnreadableFileError(str(path), "is damaged", "put it back from a backup") from None


def _last_of_each(records: list[JournalRecord]) -> list[JournalRecord]:
    last = {_exchange(record, line): line for line, record in enumerate(records)}
    return [record for line, record in enumerate(records) if last[_exchange(record, line)] == line]


def _exchange(record: JournalRecord, line: int) -> tuple[str, str | int, int]:
    """Name the exchange that a record is about; the record itself if it is about none."""
    if isinstance(record, RoundRecord):
        return record.record, record.kind, record.round
    if isinstance(record, AssessmentRecord):
        return record.record, record.part, record.number
    return record.record, "", line


def read_record(line: str) -> JournalRecord:
    """The record on one line of a journal."""
    return _LINE.validate_json(line)
