"""Pairs of numbers as records and a straight line as model: a family from outside the packages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from client.families.cells import Cells
from client.families.reader import Reader
from client.site_folder.site_file import SiteFile
from client.site_folder.site_key import MARK, marks_of, read_key
from common.agreed import Problem
from common.agreement.agreement import Agreement
from common.agreement.kinds import Kind, register_kind
from common.comparison.quantity import Quantity
from common.errors import GuaranteeError, InputError, InvalidContentError
from common.families.family import Ends, Family, Score, Shapes, Words
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.messages.validation import ValidationSums
from common.models.parameter_groups import AveragingWeights, Counted, ModelGroups, ParameterGroup
from common.models.shared import SharedModel

TABLE = "numbers"
CEILING = 1e4


class NumbersAgreement(Agreement):
    """Agreement on a table of x and y."""

    kind: Literal["numbers"] = "numbers"

    @property
    def tables(self) -> dict[str, frozenset[str]]:
        """The one table."""
        return {TABLE: frozenset({"x", "y"})}

    @property
    def required_tables(self) -> tuple[str, ...]:
        """The one table."""
        return (TABLE,)


@dataclass(frozen=True)
class Numbers:
    """Readings as a tensor [U, 2] of x and y."""

    table: Tensor

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        return self.table.nbytes

    @property
    def device(self) -> torch.device:
        return self.table.device

    def select(self, units: Tensor) -> "Numbers":
        return Numbers(self.table[units.to(self.device)])

    def to(self, device: torch.device) -> "Numbers":
        return Numbers(self.table.to(device))

    def padded(self, units: int) -> "Numbers":
        return Numbers(nn.functional.pad(self.table, (0, 0, 0, units - len(self))))


@dataclass(frozen=True)
class Scale:
    """Preprocessing: center and spread [2]."""

    center: Tensor
    spread: Tensor

    def to(self, device: torch.device) -> "Scale":
        return Scale(self.center.to(device), self.spread.to(device))


class Line(SharedModel):
    """y = a x + b."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1)

    def forward(self, records: Numbers) -> dict[str, Tensor]:
        return {"y": self.line(records.table[:, :1])}

    def example(self) -> Numbers:
        return Numbers(torch.zeros(1, 2, dtype=self.line.weight.dtype, device=self.line.weight.device))


class NumbersFamily:
    """Numbers as a family of records."""

    def words(self, agreement: NumbersAgreement) -> Words:
        return Words("reading", "readings")

    def public(self, agreement: NumbersAgreement, folder: Path) -> None:
        return None

    def model(self, agreement: NumbersAgreement, public: None, seed: int) -> Line:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Line()

    def sums(self, agreement: NumbersAgreement) -> Shapes:
        return {TABLE: (3, 2)}

    def ends(self, agreement: NumbersAgreement) -> Ends:
        return {TABLE: (np.full(2, -np.inf), np.full(2, np.inf))}

    def sources(self, agreement: NumbersAgreement) -> Mapping[str, str]:
        return {TABLE: TABLE}

    def quantities(self, agreement: NumbersAgreement) -> tuple[Quantity, ...]:
        return ()

    def noise_of_means(self, agreement: NumbersAgreement) -> Mapping[str, NDArray[np.float64]]:
        return {}

    def unit_table(self, agreement: NumbersAgreement) -> str:
        return TABLE

    def noised_sums(self, agreement: NumbersAgreement) -> tuple[int, float]:
        raise GuaranteeError("privacy.statistics", "numbers have no limits", "use declared")

    def noised_statistics(
        self, noised: NDArray[np.float64], agreement: NumbersAgreement, noise_multiplier: float
    ) -> SiteStatistics:
        raise GuaranteeError("privacy.statistics", "numbers have no limits", "use declared")

    def statistics(self, records: Numbers, agreement: NumbersAgreement, least: int) -> SiteStatistics:
        table = records.table.double()
        moments = torch.stack([torch.full((2,), float(len(table))), table.sum(0), table.square().sum(0)])
        enough = len(records) >= least
        return SiteStatistics({TABLE: moments.numpy() * enough}, {TABLE: 0 if enough else 2})

    def preparation(self, agreement: NumbersAgreement) -> Shapes:
        return {"center": (2,), "spread": (2,)}

    def combine(self, sites: Sequence[SiteStatistics], agreement: NumbersAgreement) -> Scale:
        number, total, squares = np.sum([site.moments[TABLE] for site in sites], axis=0)
        mean = total / number
        spread = np.sqrt(squares / number - mean**2)
        return Scale(torch.from_numpy(mean).float(), torch.from_numpy(spread).float())

    def declared(self, agreement: NumbersAgreement) -> Scale:
        return Scale(torch.zeros(2), torch.ones(2))

    def is_plausible(
        self, prepared: Scale, agreement: NumbersAgreement, sums: SiteStatistics | None, units: int
    ) -> bool:
        return bool((prepared.spread > 0).all())

    def packed(self, prepared: Scale) -> Arrays:
        return {"center": prepared.center.numpy(), "spread": prepared.spread.numpy()}

    def unpacked(self, arrays: Arrays) -> Scale:
        center, spread = (torch.from_numpy(arrays[name].astype(np.float32)) for name in ("center", "spread"))
        return Scale(center, spread)

    def groups(self, agreement: NumbersAgreement, parameters: Iterable[str]) -> ModelGroups:
        return ModelGroups(dict.fromkeys(parameters, ParameterGroup.SHARED))

    def scores(self, agreement: NumbersAgreement) -> tuple[Score, ...]:
        return ()

    def apply(self, records: Numbers, prepared: Scale) -> Numbers:
        return Numbers((records.table - prepared.center) / prepared.spread)

    def loss(self, model: Line, records: Numbers, agreement: NumbersAgreement, prepared: Scale) -> Tensor:
        distance: Tensor = model(records)["y"][:, 0] - records.table[:, 1]
        return distance.square()

    def ceiling(self, agreement: NumbersAgreement) -> float:
        return CEILING

    def linear_loss(
        self, model: Line, agreement: NumbersAgreement, prepared: Scale
    ) -> Callable[[Numbers], Tensor] | None:
        return None

    def evaluate(
        self,
        outputs: dict[str, Tensor],
        records: Numbers,
        agreement: NumbersAgreement,
        prepared: Scale,
        least: int,
    ) -> ValidationSums:
        loss = (outputs["y"][:, 0] - records.table[:, 1]).square().double()
        return ValidationSums(float(loss.clamp(max=CEILING).sum()), float(len(records)), {})

    def behind(self, records: Numbers, groups: ModelGroups) -> AveragingWeights:
        return AveragingWeights({ParameterGroup.SHARED: float(len(records))}, Counted.UNITS)

    def probe(self, agreement: NumbersAgreement, units: int) -> Numbers:
        return Numbers(torch.randn(units, 2, generator=torch.Generator().manual_seed(0)))

    def contradictions(self, agreement: NumbersAgreement) -> Iterator[Problem]:
        if agreement.privacy is not None and agreement.privacy.statistics == "noised":
            yield Problem(("privacy", "statistics"), "numbers have no limits", "use declared")

    def malformed(self, agreement: NumbersAgreement, folder: Path) -> Iterator[Problem]:
        yield from ()

    def idle(self, agreement: NumbersAgreement, folder: Path) -> Iterator[Problem]:
        yield from ()


@dataclass(frozen=True)
class Holding:
    """Readings of a site, with the fold that holds a reading out, or -1."""

    site: str
    records: Numbers
    fold: Tensor
    marks: Tensor


class NumbersReader:
    """Numbers at a hospital."""

    def read(
        self, folder: Path, site: SiteFile, agreement: NumbersAgreement
    ) -> tuple[Holding | None, list[InputError]]:
        path = folder / site.tables[TABLE]
        try:
            table = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32, ndmin=2)
        except ValueError:
            return None, [InvalidContentError(str(path), "has cells that are no numbers", "correct them")]
        readings = torch.from_numpy(table)
        marks = bytearray(marks_of(range(len(table)), read_key(folder)))
        fold = torch.full((len(readings),), -1) if site.fold is None else readings[:, 2].long()
        return Holding(
            site.name,
            Numbers(readings[:, :2]),
            fold,
            torch.frombuffer(marks, dtype=torch.uint8).view(-1, MARK),
        ), []

    def joined(self, holdings: Sequence[Holding], site: SiteFile, units: Tensor, fold: Tensor) -> Holding:
        table, marks = (
            torch.cat(parts)[units]
            for parts in (
                [holding.records.table for holding in holdings],
                [holding.marks for holding in holdings],
            )
        )
        return Holding(site.name, Numbers(table), fold, marks)

    def absent(self, holding: Holding, agreement: NumbersAgreement) -> frozenset[str]:
        return frozenset()

    def source(self, holding: Holding, table: str, column: str) -> str:
        return f"{table}: {column}"

    def bounded_sums(self, records: Numbers, agreement: NumbersAgreement) -> NDArray[np.float64]:
        raise GuaranteeError("privacy.statistics", "numbers have no limits", "use declared")

    def cells(self, holding: Holding, agreement: NumbersAgreement, groups: ModelGroups) -> list[Cells]:
        records = holding.records
        everyone = np.ones((len(records), 1), dtype=bool)
        table = records.table.double().numpy()
        return [
            Cells(TABLE, ("x", "y"), ("", ""), everyone.repeat(2, 1), table),
            Cells("", ("readings",), ("",), everyone, np.zeros((len(records), 1))),
        ]

    def pack(self, public: None, holding: Holding) -> dict[str, Tensor]:
        return {TABLE: holding.records.table, "fold": holding.fold, "marks": holding.marks}

    def unpack(
        self, tensors: dict[str, Tensor], site: SiteFile, agreement: NumbersAgreement
    ) -> tuple[None, Holding]:
        return None, Holding(site.name, Numbers(tensors[TABLE]), tensors["fold"], tensors["marks"])

    def passport(self, holding: Holding, agreement: NumbersAgreement) -> dict[str, Any]:
        return {"site": holding.site, "readings": len(holding.records)}

    def passport_lines(self, passport: dict[str, Any]) -> list[str]:
        return [f"{passport['site']}: {passport['readings']} readings"]

    def said(self, agreement: NumbersAgreement, file: Path) -> Iterator[str]:
        yield f"  - a line through the readings of the table {TABLE}"


FAMILY: Family[NumbersAgreement, Line, Numbers, Scale, None] = NumbersFamily()
READER: Reader[NumbersAgreement, Holding, Numbers, None] = NumbersReader()


def register() -> None:
    """Let federation files name `kind = "numbers"`."""
    register_kind(
        "numbers",
        Kind(
            "numberslab:NumbersAgreement",
            "numberslab:FAMILY",
            "numberslab:READER",
            study="numberslab.study:STUDY",
        ),
    )
