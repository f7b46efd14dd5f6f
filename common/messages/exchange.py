"""The messages between coordinator and hospitals, and their form as Flower records.

Each message is a named type with a fixed list of fields: header values, arrays by name, counts and metrics. Nothing is
free-form, and no text of an exception has a field to travel in. All arrays of a message travel as one
(`common.packing`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from common.agreement.settings import Wire
from common.errors import RefusalCode
from common.messages.compression import DecodeError, decode, unflatten
from common.messages.packing import Arrays, pack, unpack
from common.patients.preprocessing import Preprocessing, SiteStatistics

Numbers = dict[str, float]


STATISTICS = "query.statistics"


PACKED = "arrays"
"""The array record of a message, and the one array in it."""


class InvalidMessageError(Exception):
    """A record that is not the message it should be."""


class _Message(BaseModel):
    """Fields of type `Arrays` travel packed, of type `Numbers` as metric records, others in the header."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)
    arrays: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()

    def to_record(self) -> RecordDict:
        """The Flower form of this message."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        header = {name: value for name, value in fields.items() if name not in (*self.arrays, *self.numbers)}
        told = ConfigRecord({"message": type(self).__name__, **header})
        content = RecordDict({"header": told})
        if self.arrays:
            flat, manifest = pack({name: fields[name] for name in self.arrays})
            told["manifest"] = manifest
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
            header = dict(_part(content, "header", ConfigRecord))
            records = {"header", *([PACKED] if cls.arrays else []), *cls.numbers}
            if header.pop("message") != cls.__name__ or set(content) != records:
                raise InvalidMessageError(f"this is not a {cls.__name__}")
            arrays: dict[str, Arrays] = {}
            if cls.arrays:
                ((name, flat),) = _part(content, PACKED, ArrayRecord).items()
                manifest = header.pop("manifest")
                if name == PACKED and isinstance(manifest, bytes):
                    arrays = unpack(flat.numpy(), manifest)
            numbers = {name: dict(_part(content, name, MetricRecord)) for name in cls.numbers}
            return cls.model_validate({**header, **arrays, **numbers})
        except Exception:  # the bytes of an array can fail to decode in nearly any way
            raise InvalidMessageError(f"this is not a valid {cls.__name__}") from None


_Part = TypeVar("_Part", ArrayRecord, ConfigRecord, MetricRecord)


def _part(content: RecordDict, name: str, kind: type[_Part]) -> _Part:
    """One record of a message.

    Flower's own views, such as `content.config_records`, are cycles of references: a message read through one keeps
    its memory until the next collection of garbage, and with it a coordinator would hold many hospitals' weights.

    Raises:
        KeyError: if there is none of that name and kind.
    """
    record = content.get(name)
    if not isinstance(record, kind):
        raise KeyError(name)
    return record


class StatisticsRequest(_Message):
    """Asks a site for its sufficient statistics. `fold` -1 holds no patient out."""

    federation: str
    fold: int = Field(ge=-1)


class StatisticsReply(_Message):
    """A site's sums over its training patients; `withheld` counts entries below the minimum count."""

    arrays: ClassVar = ("moments",)
    numbers: ClassVar = ("withheld",)

    site: str
    patients: int = Field(ge=0)
    moments: Arrays
    withheld: Numbers

    @property
    def statistics(self) -> SiteStatistics:
        """The reply as preprocessing takes it."""
        moments = {name: np.asarray(array, dtype=np.float64) for name, array in self.moments.items()}
        return SiteStatistics(moments, {name: int(count) for name, count in self.withheld.items()})


class ModelRequest(_Message):
    """The global model of a round with its preprocessing: to be trained on, or only evaluated."""

    arrays: ClassVar = ("weights", "preprocessing")

    federation: str
    round: int = Field(ge=0)
    fold: int = Field(ge=-1)
    seed: int = Field(ge=0, lt=2**31)
    weights: Arrays
    preprocessing: Arrays


class EvaluateReply(_Message):
    """How the incoming global model does on the site's validation patients.

    `metrics` holds, summed over patients or pairs so that sites add up: `validation_loss`, `validation_squares` (of
    the loss), `validation_patients`, and per task `concordant:TASK` and `comparable:TASK` pairs.
    """

    numbers: ClassVar = ("metrics",)

    site: str
    round: int = Field(ge=0)
    metrics: Numbers


class TrainReply(_Message):
    """A site's weights after local training.

    `patients` gives, per averaging group (`model.averaging_group`), the training patients behind the weights;
    `metrics` are those of `EvaluateReply` for the incoming model, with `training_loss` (mean per patient).
    """

    arrays: ClassVar = ("weights",)
    numbers: ClassVar = ("patients", "metrics")

    site: str
    round: int = Field(ge=0)
    weights: Arrays
    patients: Numbers
    metrics: Numbers


class UpdateReply(_Message):
    """A site's weights after local training as the change that is left of it by `[wire]` (`common.compression`).

    In everything else it is a `TrainReply`, in whose place it leaves unless the agreement says `float32`.
    """

    arrays: ClassVar = ("update",)
    numbers: ClassVar = ("patients", "metrics")

    site: str
    round: int = Field(ge=0)
    update: Arrays
    patients: Numbers
    metrics: Numbers

    def applied(self, before: Mapping[str, NDArray[Any]], wire: Wire) -> TrainReply:
        """The weights that the request's become; where nothing changed they stay bit by bit.

        Raises:
            InvalidMessageError: if the update is not one of this model, encoded as the agreement says.
        """
        shapes = {name: array.shape for name, array in before.items()}
        try:
            update = decode(self.update, wire, shapes)
        except DecodeError:
            raise InvalidMessageError(f"this update is not encoded as {wire.update}") from None
        weights: Arrays = {}
        with np.errstate(over="ignore"):  # who takes a reply looks whether it is finite
            for name, change in unflatten(update, shapes).items():
                weights[name] = np.where(change != 0, before[name] + change, before[name])
        return TrainReply(
            site=self.site, round=self.round, weights=weights, patients=self.patients, metrics=self.metrics
        )


class RefusalReply(_Message):
    """All a site says when it does not do what it was asked."""

    site: str
    code: RefusalCode = Field(strict=False)

    def to_record(self) -> RecordDict:
        """The Flower form of this message."""
        return RecordDict(
            {"header": ConfigRecord({"message": "RefusalReply", "site": self.site, "code": self.code.value})}
        )


def is_refusal(content: RecordDict) -> bool:
    """Whether a reply is a refusal."""
    header = content.get("header")
    return isinstance(header, ConfigRecord) and header.get("message") == "RefusalReply"


def read_training(content: RecordDict, before: Mapping[str, NDArray[Any]], wire: Wire) -> TrainReply:
    """A site's answer to a request with the weights `before`, in the only form that the agreement has for it.

    Raises:
        InvalidMessageError: if it has another form, or is no such answer.
    """
    if wire.update == "float32":
        return TrainReply.from_record(content)
    return UpdateReply.from_record(content).applied(before, wire)


def pack_preprocessing(preprocessing: Preprocessing) -> Arrays:
    """Preprocessing as named float32 arrays."""
    return {
        f"{kind}:{name}": tensor.numpy()
        for kind in ("center", "spread", "cuts")
        for name, tensor in getattr(preprocessing, kind).items()
    }


def unpack_preprocessing(arrays: Arrays) -> Preprocessing:
    """The inverse of `pack_preprocessing`."""
    parts: dict[str, dict[str, torch.Tensor]] = {"center": {}, "spread": {}, "cuts": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition(":")
        parts[kind][name] = torch.from_numpy(np.array(array, dtype=np.float32))
    return Preprocessing(**parts)
