"""Modalities of the federation file: tables with columns, units and ranges."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from common.agreed import Agreed, Name, NameOf, Problem, about, incoherent, nearest, repeated
from common.agreement.node_kinds import NodeKind, node_kind, registered_node_kinds

LARGEST = 8.0
"""Limit of standardised values, in standard deviations: one wild assay must not rule a gradient."""


RARE = 0.1
"""Mean square that is taken for that of columns of 0 and 1."""


def _registered(name: str) -> str:
    try:
        return node_kind(name).name
    except ValueError as error:
        names = registered_node_kinds()
        raise incoherent(str(error), nearest(name, names, "use one of these names")) from None


class Plausible(Agreed):
    """Unit and plausible range of a numeric column; a value outside is taken for a wrong unit."""

    unit: str = Field(
        default="",
        description="Unit of the values, in which every hospital gives them.",
        json_schema_extra=about(
            example="years", change="Write it for every number that has one; pages show it."
        ),
    )
    low: float | None = Field(
        default=None,
        description="Lowest plausible value: a table with a lower one is refused.",
        json_schema_extra=about(
            example=18,
            change="Choose it so wide that no true value lies outside, and so narrow that a wrong unit does.",
        ),
    )
    high: float | None = Field(
        default=None,
        description="Highest plausible value: a table with a higher one is refused.",
        json_schema_extra=about(
            example=100,
            change="Choose it so wide that no true value lies outside, and so narrow that a wrong unit does.",
        ),
    )
    typical: tuple[float, float] | None = Field(
        default=None,
        description="Range in which about two thirds of patients lie, from public knowledge: it can stand in for the "
        "cohort's own mean and standard deviation, which then need not leave a hospital.",
        json_schema_extra=about(
            example=[50, 75],
            change='Give it for every numeric column under `privacy.statistics = "declared"`.',
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Ends in the wrong order."""
        if self.typical is not None and not self.typical[0] < self.typical[1]:
            what = "typical must be a low and a higher end"
            yield Problem(("typical",), what, "write the lower end first")
        if self.low is not None and self.high is not None and not self.low < self.high:
            yield Problem(("low",), "low must be less than high", "exchange the two, or correct one")


class Modality(Agreed):
    """One table of features, one row per patient; its nodes are the model's graph nodes.

    `transform` and then `clip` are applied to raw numeric values before any statistic is taken.
    """

    name: Name = Field(
        description="Name of the table, in lower case.",
        json_schema_extra=about(example="clinical", change="Hospitals name their file by it in `site.toml`."),
    )
    node: Annotated[str, AfterValidator(_registered)] = Field(
        description="Kind of the columns: `clinical` describes the patient; `gene` and `protein` are joined and pooled "
        "by `[prior]`; `imaging` are numbers that nothing joins.",
        json_schema_extra=about(
            example="clinical",
            change="Choose by what the columns are; gene and protein columns are named by symbols.",
        ),
    )
    columns: tuple[str, ...] = Field(
        default=(),
        description="Numeric columns, by the names that this file gives them; a hospital maps its own names to them.",
        json_schema_extra=about(
            example=["age", "albumin"], change="Name every number that the model may use."
        ),
    )
    categories: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Categorical columns and their levels, each of which becomes one input of the model.",
        json_schema_extra=about(
            example={"sex": ["female", "male"]},
            change="Name every level that may occur: a table with another one is refused.",
        ),
    )
    plausible: Plausible = Field(
        default=Plausible(),
        description="Unit and range of every numeric column of the table that `ranges` does not name.",
        json_schema_extra=about(
            example={"low": 0, "high": 30},
            change="Use it for tables whose columns are alike, such as gene expression.",
        ),
    )
    ranges: dict[str, Plausible] = Field(
        default_factory=dict,
        description="Unit and range of single numeric columns, instead of `plausible`.",
        json_schema_extra=about(
            example={"age": {"unit": "years", "low": 18, "high": 100}},
            change="Give every clinical number its own: wrong units are found by them alone.",
        ),
    )
    transform: Literal["none", "signed_log"] = Field(
        default="none",
        description="Change of numeric values before anything else: `signed_log` is sign(x) log(1 + |x|).",
        json_schema_extra=about(
            example="signed_log", change="Use `signed_log` for values that span decades."
        ),
    )
    clip: tuple[float, float] | None = Field(
        default=None,
        description="Ends at which numeric values are cut, after `transform`.",
        json_schema_extra=about(
            example=[-5, 5], change="Use it where a few wild values would rule a column."
        ),
    )
    scale: Literal["standard", "none"] = Field(
        default="standard",
        description="Whether values are standardised by the federation's mean and standard deviation.",
        json_schema_extra=about(
            example="none",
            change="Use `none` for columns of 0 and 1, such as mutations, with `plausible` 0 to 1.",
        ),
    )
    strength: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Variance that the table's part of a linear score has before anything is learnt: how much it may "
        "say. Left out: 20 for clinical columns, 5 for others.",
        json_schema_extra=about(example=10, change="Raise it for a table that you expect to say most."),
    )
    actionable: tuple[str, ...] = Field(
        default=(),
        description="Columns that a hospital could act on, such as a body weight: by them alone forecasts are "
        "made anew "
        "with other values, within the plausible range.",
        json_schema_extra=about(
            example=["weight"], change="Name columns that may be changed by a treatment; none by default."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Names that occur twice, are of no column, or lack a range."""
        names = [*self.columns, *self.categories]
        if not names:
            what = f"modality {self.name} has no columns"
            yield Problem(("columns",), what, "name its numbers in columns and its levels in categories")
        for name in repeated(names):
            where = "categories" if name in self.categories else "columns"
            yield Problem((where,), f"modality {self.name} names a column twice, {name}", "name it once")
        if self.clip is not None and not self.clip[0] < self.clip[1]:
            yield Problem(("clip",), "clip must be a low and a higher end", "write the lower end first")
        for column in sorted(set(self.ranges) - set(self.columns)):
            what = f"modality {self.name} gives a range for unknown column {column}"
            remedy = "a category has levels and no range: remove it"
            if column not in self.categories:
                remedy = nearest(column, self.columns, "add it to columns, or remove the range")
            yield Problem(("ranges", column), what, remedy)
        for column, levels in self.categories.items():
            if len(levels) < 2:
                what = f"categories.{column} needs two or more levels"
                yield Problem(("categories", column), what, "name all levels that may occur")
            for level in repeated(levels):
                what = f"categories.{column} has a name twice, {level}"
                yield Problem(("categories", column), what, "name it once")
        yield from self._actionable_problems(names)

    def _actionable_problems(self, names: list[str]) -> Iterator[Problem]:
        for column in repeated(self.actionable):
            yield Problem(("actionable",), f"actionable has a name twice, {column}", "name it once")
        for column in self.actionable:
            if column not in names:
                what = f"actionable names {column}, which is no column of modality {self.name}"
                yield Problem(("actionable",), what, nearest(column, names, "name a column of the modality"))
                continue
            plausible = self.plausible_for(column)
            if column in self.columns and (plausible.low is None or plausible.high is None):
                what = f"actionable names {column}, which has no plausible range"
                yield Problem(("actionable",), what, f"give ranges.{column} low and high")

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
