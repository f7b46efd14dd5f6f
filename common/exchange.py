"""The messages between coordinator and hospitals, and their form as Flower records.

Each message is a named type with a fixed list of fields: header values, arrays by name, counts and metrics. Nothing is
free-form, and no text of an exception has a field to travel in. All arrays of a message travel as one
(`common.packing`).
"""

from typing import ClassVar, Self

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from pydantic import BaseModel, ConfigDict, Field

from common.errors import RefusalCode
from common.packing import Arrays, pack, unpack
from common.preprocessing import Preprocessing, SiteStatistics

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
        content = RecordDict({"header": ConfigRecord({"message": type(self).__name__, **header})})
        if self.arrays:
            flat, manifest = pack({name: fields[name] for name in self.arrays})
            content.config_records["header"]["manifest"] = manifest
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
            header = dict(content.config_records["header"])
            records = {"header", *([PACKED] if cls.arrays else []), *cls.numbers}
            if header.pop("message") != cls.__name__ or set(content) != records:
                raise InvalidMessageError(f"this is not a {cls.__name__}")
            arrays: dict[str, Arrays] = {}
            if cls.arrays:
                ((name, flat),) = content.array_records[PACKED].items()
                manifest = header.pop("manifest")
                if name == PACKED and isinstance(manifest, bytes):
                    arrays = unpack(flat.numpy(), manifest)
            numbers = {name: dict(content.metric_records[name]) for name in cls.numbers}
            return cls.model_validate({**header, **arrays, **numbers})
        except Exception:  # the bytes of an array can fail to decode in nearly any way
            raise InvalidMessageError(f"this is not a valid {cls.__name__}") from None


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
    header = content.config_records.get("header")
    return header is not None and header.get("message") == "RefusalReply"


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
