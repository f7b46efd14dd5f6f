"""Messages between coordinator and hospitals, and their form as Flower records.

A message is a named type with a fixed list of fields: header values, arrays by name, counts and metrics. No field is
free-form, and none can carry the text of an exception. All arrays of a message travel as one array
(`common.messages.packing`).
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.agreement.settings import Wire
from common.countersignature import LONGEST
from common.errors import RefusalCode
from common.messages.compression import DecodeError, decode, unflatten
from common.messages.packing import Arrays, UnpackError, pack, unpack
from common.messages.statistics import SiteStatistics

Numbers = dict[str, float]


STATISTICS = "query.statistics"


ASSESSMENT = "query.assessment"


PACKED = "arrays"
"""Name of a message's array record and of the only array in it."""


class InvalidMessageError(Exception):
    """Record that is not the expected message.

    Args:
        message: a sentence that never depends on the record.
        reason: see below.

    Attributes:
        reason: what does not fit, for the reader's own log: names that the expected message has and kinds of error,
            and never a name, a value or a text of the record.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class _Message(BaseModel):
    """Base of the messages.

    Fields of type `Arrays` travel packed, of type `Numbers` as metric records, others in the header.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
    arrays: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()

    def to_record(self) -> RecordDict:
        """The Flower form of this message."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        header = {name: value for name, value in fields.items() if name not in (*self.arrays, *self.numbers)}
        header_record = ConfigRecord({"message": type(self).__name__, **header})
        content = RecordDict({"header": header_record})
        if self.arrays:
            flat, manifest = pack({name: fields[name] for name in self.arrays})
            header_record["manifest"] = manifest
            content[PACKED] = ArrayRecord({PACKED: Array(flat)})
        for name in self.numbers:
            content[name] = MetricRecord(dict(fields[name]))
        return content

    @classmethod
    def from_record(cls, content: RecordDict) -> Self:
        """Read a Flower record, strictly.

        Raises:
            InvalidMessageError: if a field is missing, unknown or of the wrong type.
        """
        try:
            return cls._read(content)
        except _UnfitError as error:
            reason = str(error)
        except ValidationError as error:
            reason = cls._first_fault(error)
        except Exception as error:  # the bytes of an array can fail to decode in nearly any way
            reason = f"its arrays or numbers cannot be read ({type(error).__name__})"
        raise InvalidMessageError(f"this is not a valid {cls.__name__}", reason)

    @classmethod
    def _read(cls, content: RecordDict) -> Self:
        header = dict(_part(content, "header", ConfigRecord))
        records = {"header", *([PACKED] if cls.arrays else []), *cls.numbers}
        if header.pop("message", None) != cls.__name__:
            raise _UnfitError("its header names another message")
        if missing := records - set(content):
            raise _UnfitError(f"the record {min(missing)} is missing")
        if set(content) != records:
            raise _UnfitError("it has a record that the message has not")
        arrays = _unpacked(content, header.pop("manifest", None)) if cls.arrays else {}
        numbers = {name: dict(_part(content, name, MetricRecord)) for name in cls.numbers}
        return cls.model_validate({**header, **arrays, **numbers})

    @classmethod
    def _first_fault(cls, error: ValidationError) -> str:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        if field not in cls.model_fields:
            return "it has a field that the message has not"
        return f"the field {field} does not fit ({first['type']})"


class _UnfitError(Exception):
    """Part of a record that does not fit, in words that hold nothing of the record."""


_Part = TypeVar("_Part", ArrayRecord, ConfigRecord, MetricRecord)


def _part(content: RecordDict, name: str, kind: type[_Part]) -> _Part:
    """One record of a message.

    Flower's own views, such as `content.config_records`, are cycles of references: a message read through one keeps
    its memory until the next collection of garbage, and with it a coordinator would hold many hospitals' weights.

    Raises:
        _UnfitError: if there is none of that name and kind.
    """
    record = content.get(name)
    if not isinstance(record, kind):
        raise _UnfitError(f"the record {name} is missing or of another kind")
    return record


def _unpacked(content: RecordDict, manifest: object) -> dict[str, Arrays]:
    """Arrays of a message by group.

    Raises:
        _UnfitError: if the message has not one packed array with a manifest.
    """
    arrays = _part(content, PACKED, ArrayRecord)
    if list(arrays) != [PACKED] or not isinstance(manifest, bytes):
        raise _UnfitError("its arrays are not packed as one array with a manifest")
    try:
        return unpack(arrays[PACKED].numpy(), manifest)
    except UnpackError as error:
        raise _UnfitError("its packed array is not the one that its manifest describes") from error


RunName = Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]{0,99})?$")]
"""Name of a run, the same when it is resumed; empty for a run that has none beside Flower's number."""


class StatisticsRequest(_Message):
    """Request for a site's sufficient statistics; `fold` -1 holds no patient out.

    `countersignature` is the coordinator's signed count of the site's messages so far (`common.countersignature`).
    """

    federation: str
    fold: int = Field(ge=-1)
    run: RunName = ""
    countersignature: str = Field(default="", max_length=LONGEST)


class StatisticsReply(_Message):
    """Sums over a site's training patients; `withheld` counts entries below the minimum count."""

    arrays: ClassVar = ("moments",)
    numbers: ClassVar = ("withheld",)

    site: str
    patients: int = Field(ge=0)
    moments: Arrays
    withheld: Numbers

    @property
    def statistics(self) -> SiteStatistics:
        """Reply in the form that preprocessing takes."""
        moments = {name: np.asarray(array, dtype=np.float64) for name, array in self.moments.items()}
        return SiteStatistics(moments, {name: int(count) for name, count in self.withheld.items()})


MOST_FAR = 1000
"""Most quantities of a hospital that a request names."""


class ModelRequest(_Message):
    """Global model of a round with its preprocessing, to be trained on or only evaluated.

    `far` has the numbers, among the family's quantities, of those of the hospital that lie far from the others'.
    """

    arrays: ClassVar = ("weights", "preprocessing")

    federation: str
    round: int = Field(ge=0)
    fold: int = Field(ge=-1)
    seed: int = Field(ge=0, lt=2**31)
    run: RunName = ""
    weights: Arrays
    preprocessing: Arrays
    far: list[Annotated[int, Field(ge=0)]] = Field(default=[], max_length=MOST_FAR)


class EvaluateReply(_Message):
    """Scores of the incoming global model on the site's validation patients.

    `metrics` holds, summed over patients or pairs so that sites add up: `validation_loss`,
    `validation_patients`, and per task `concordant:TASK` and `comparable:TASK` pairs.
    """

    numbers: ClassVar = ("metrics",)

    site: str
    round: int = Field(ge=0)
    metrics: Numbers


class AssessmentRequest(_Message):
    """Question of an assessment about weights that the run has sent in a round before.

    `asked` has the arrays of the question (`common.assessment.part.Part.asked`), float64.
    """

    arrays: ClassVar = ("weights", "preprocessing", "asked")

    federation: str
    round: int = Field(ge=1)
    fold: int = Field(ge=-1)
    run: RunName = ""
    part: str = Field(max_length=40)
    number: int = Field(ge=0)
    weights: Arrays
    preprocessing: Arrays
    asked: Arrays


class AssessmentReply(_Message):
    """Sums of a site over the patients that a part of an assessment is about."""

    arrays: ClassVar = ("sums",)

    site: str
    part: str = Field(max_length=40)
    number: int = Field(ge=0)
    patients: int = Field(ge=0)
    sums: Arrays


class _TrainingReply(_Message):
    """Base of the two forms in which a site's weights leave it after local training.

    `patients` gives, per averaging group (`common.models.parameter_groups`), the training patients behind the weights;
    `metrics` are those of `EvaluateReply` for the incoming model, with `training_loss` (mean per patient).
    """

    numbers: ClassVar = ("patients", "metrics")

    site: str
    round: int = Field(ge=0)
    patients: Numbers
    metrics: Numbers


class TrainReply(_TrainingReply):
    """Weights of a site after local training."""

    arrays: ClassVar = ("weights",)

    weights: Arrays


class UpdateReply(_TrainingReply):
    """Change of a site's weights by local training, encoded as `[wire]` says.

    The encodings are those of `common.messages.compression`. The reply leaves in place of a `TrainReply` unless the
    agreement says `float32`.
    """

    arrays: ClassVar = ("update",)

    update: Arrays

    def applied(self, before: Mapping[str, NDArray[Any]], wire: Wire) -> TrainReply:
        """Add the update to the weights of the request; unchanged entries stay bit by bit.

        Raises:
            InvalidMessageError: if the update is not one of this model, encoded as the agreement says.
        """
        shapes = {name: array.shape for name, array in before.items()}
        try:
            update = decode(self.update, wire, shapes)
        except DecodeError:
            raise InvalidMessageError(f"this update is not encoded as {wire.update}") from None
        weights: Arrays = {}
        with np.errstate(over="ignore"):  # the coordinator refuses a reply that is not finite
            for name, change in unflatten(update, shapes).items():
                weights[name] = np.where(change != 0, before[name] + change, before[name])
        return TrainReply(
            site=self.site, round=self.round, weights=weights, patients=self.patients, metrics=self.metrics
        )


class RefusalReply(_Message):
    """Refusal of a request, with its code and nothing else."""

    site: str
    code: RefusalCode = Field(strict=False)

    def to_record(self) -> RecordDict:
        """The Flower form of this message."""
        return RecordDict(
            {"header": ConfigRecord({"message": "RefusalReply", "site": self.site, "code": self.code.value})}
        )


def is_refusal(content: RecordDict) -> bool:
    """Return whether a reply is a refusal."""
    header = content.get("header")
    return isinstance(header, ConfigRecord) and header.get("message") == "RefusalReply"


def read_training(content: RecordDict, before: Mapping[str, NDArray[Any]], wire: Wire) -> TrainReply:
    """Read a site's answer to a request with the weights `before`, in the form of the agreement.

    Raises:
        InvalidMessageError: if the answer has another form or is another message.
    """
    if wire.update == "float32":
        return TrainReply.from_record(content)
    return UpdateReply.from_record(content).applied(before, wire)
