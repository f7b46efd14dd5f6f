"""Modalities of the federation file: tables with columns, units and ranges."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from common.agreed import Agreed, Name, NameOf, distinct
from common.agreement.node_kinds import NodeKind, node_kind

LARGEST = 8.0
"""Limit of standardised values, in standard deviations: one wild assay must not rule a gradient."""


RARE = 0.1
"""Mean square that is taken for that of columns of 0 and 1."""


def _registered(name: str) -> str:
    return node_kind(name).name


class Plausible(Agreed):
    """Unit and plausible range of a numeric column; a value outside is taken for a wrong unit.

    `typical` is where about two thirds of patients lie, from public knowledge: it can stand in for the cohort's own
    mean and standard deviation, which then need not leave a hospital.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    typical: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.typical is not None and not self.typical[0] < self.typical[1]:
            raise ValueError("typical must be a low and a higher end")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError("low must be less than high")
        return self


class Modality(Agreed):
    """One table of features, one row per patient; its nodes are the model's graph nodes.

    `columns` are numeric; `categories` maps a categorical column to its levels, each of which becomes
    one node. `transform` and then `clip` are applied to raw numeric values before any statistic is taken;
    `scale` says whether values are standardised by federated mean and standard deviation. `strength` is the variance
    that the modality's part of a linear score has before anything is learnt, in the unit of the ridge penalty: how much
    it may say. `actionable` columns are those that a hospital could act on, such as a body weight: alone by them
    forecasts are made anew with other values, within the plausible range.
    """

    name: Name
    node: Annotated[str, AfterValidator(_registered)]
    columns: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    plausible: Plausible = Plausible()
    ranges: dict[str, Plausible] = Field(default_factory=dict)
    transform: Literal["none", "signed_log"] = "none"
    clip: tuple[float, float] | None = None
    scale: Literal["standard", "none"] = "standard"
    strength: float | None = Field(default=None, gt=0, le=1000)
    actionable: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [*self.columns, *self.categories]
        if not names:
            raise ValueError(f"modality {self.name} has no columns")
        if len(set(names)) != len(names):
            raise ValueError(f"modality {self.name} names a column twice")
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            raise ValueError("clip must be a low and a higher end")
        if unknown := set(self.ranges) - set(self.columns):
            raise ValueError(f"modality {self.name} gives a range for unknown column {min(unknown)}")
        for column, levels in self.categories.items():
            if len(levels) < 2:
                raise ValueError(f"categories.{column} needs two or more levels")
            distinct(f"categories.{column}", levels)
        distinct("actionable", self.actionable)
        for column in self.actionable:
            if column not in names:
                raise ValueError(f"actionable names {column}, which is no column of modality {self.name}")
            plausible = self.plausible_for(column)
            if column in self.columns and (plausible.low is None or plausible.high is None):
                raise ValueError(
                    f"actionable names {column}, which has no plausible range: give ranges.{column} low and high"
                )
        return self

    def registered_names(self) -> Iterator[tuple[NameOf, str]]:
        """The kind of the nodes."""
        yield NameOf.NODE_KIND, self.node

    @property
    def node_kind(self) -> NodeKind:
        """Kind of the nodes: how they are joined, pooled and scaled."""
        return node_kind(self.node)

    @property
    def changes_values(self) -> bool:
        """Whether numeric values are transformed or clipped."""
        return self.transform != "none" or self.clip is not None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Node names in model order: numeric columns, then `column=level` of categories."""
        levels = (f"{column}={level}" for column, names in self.categories.items() for level in names)
        return (*self.columns, *levels)

    @property
    def prior_variance(self) -> float:
        """Variance of the modality's part of a linear score before anything is learnt."""
        return self.node_kind.strength if self.strength is None else self.strength

    @property
    def score_scale(self) -> float:
        """Factor of the modality's values as inputs of a fitted linear score.

        The inputs' mean squares then add up to the modality's strength, as multiple factor analysis (Escofier & Pages
        1994) weighs groups of columns, and one ridge penalty serves all.
        """
        square = RARE if self.are_rare_events else 1.0
        return float((self.prior_variance / (len(self.nodes) * square)) ** 0.5)

    @property
    def flags(self) -> int:
        """Number of flags that a fitted linear score reads beside the values.

        A modality that describes the patient has one per node, set where a patient lacks the value: a gap is a doctor's
        decision. Any other was measured or not, and has one, set for patients who have the modality.
        """
        return len(self.nodes) if self.node_kind.describes_patient else 1

    @property
    def flag_scale(self) -> float:
        """Factor of a flag as input of a fitted linear score.

        Flags together have the variance that the modality's values have, and a single flag counts like a bias.
        """
        return float((self.prior_variance / self.flags) ** 0.5) if self.node_kind.describes_patient else 1.0

    @property
    def are_rare_events(self) -> bool:
        """Whether unscaled columns hold 0 and 1 alone, such as mutations, of which most are 0."""
        return self.scale == "none" and (self.plausible.low, self.plausible.high) == (0, 1)

    def range_of(self, column: str) -> tuple[float, float]:
        """Return the ends of a numeric column's plausible range.

        Raises:
            ValueError: if it has none.
        """
        plausible = self.plausible_for(column)
        if plausible.low is None or plausible.high is None:
            raise ValueError(f"{column} has no plausible range")
        return plausible.low, plausible.high

    def transformed(self, value: float) -> float:
        """Transform and clip a raw value as the federation file says."""
        if self.transform == "signed_log":
            value = math.copysign(math.log1p(abs(value)), value)
        return value if self.clip is None else min(max(value, self.clip[0]), self.clip[1])

    def plausible_for(self, column: str) -> Plausible:
        """The unit and range of one numeric column."""
        return self.ranges.get(column, self.plausible)
