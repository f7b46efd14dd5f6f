"""Explanation of one number of a patient's prediction, as it is printed and written as JSON.

It holds the patient's own values: like the forecast that it belongs to, it is for the eyes of the hospital alone.
"""

from typing import Literal

from common.counting import written
from common.explanation.agreement import SeedAgreement
from common.explanation.path import TOLERANCE
from common.explanation.record import ExplanationRecord

LEAST_BY_EDGES = 0.05
"""Share of the difference from which on edges are mentioned."""

CAVEAT = (
    "These are reasons of this model and no causes of the outcome: changing a value need not change it, and another"
    " training of the model may name other genes."
)
"""Sentence below the explanations of a patient."""


class ColumnContribution(ExplanationRecord):
    """Contribution of a column's value.

    Attributes:
        modality: of the column.
        column: its name; the levels of a category are one column.
        contribution: of the value, on the explanation's scale, from the mean patient's value.
        linear: the part of it that linear scores make.
        value: of the patient in its unit, or the level; empty where the federation file transforms or clips values.
        deviations: standard deviations of the value from the mean; None for a category.
        clamped: whether the value lies beyond what the model tells apart; its size beyond that has no effect.
    """

    modality: str
    column: str
    contribution: float
    linear: float
    value: str
    deviations: float | None
    clamped: bool

    def line(self) -> str:
        """Write the reason as a line."""
        size = "" if self.deviations is None else f"{self.deviations:+.1f} SD"
        if self.clamped:
            size += ", the most that the model tells apart"
        value = f" = {self.value}" if self.value else ""
        return f"{self.contribution:+.3f}  {self.modality} {self.column}{value}{f' ({size})' if size else ''}"


class PathwayContribution(ExplanationRecord):
    """Contribution of a pathway's members in one modality; pathways overlap and do not add up.

    Attributes:
        modality: of the members.
        pathway: its name.
        measured: members of which the patient has a value.
        contribution: sum over the members.
        occluded: the number at the patient minus that with the members set to the mean.
    """

    modality: str
    pathway: str
    measured: int
    contribution: float
    occluded: float

    def line(self) -> str:
        """Write the reason as a line."""
        return (
            f"{self.contribution:+.3f}  {self.modality} {self.pathway}, {self.measured} measured; lost with all of them"
            f" average: {self.occluded:+.3f}"
        )


class Explanation(ExplanationRecord):
    """Contributions of a patient's values to one number, by integrated gradients.

    They start at the mean patient: the same modalities and columns are observed, and every standardised value is the
    mean of the training patients. Whether something was measured is never part of a contribution; it is in `absent`.

    Attributes:
        task: its name.
        outcome: class or label; empty for a time or a number.
        horizon: time by which the risk is explained; None without a time.
        unit: of the horizon or the number.
        scale: of all numbers below: log cumulative hazard, log-odds, or the number's unit.
        patient: the number.
        mean: the number at the mean patient.
        steps: points of the integral.
        gap: sum of all contributions minus `patient - mean`.
        converged: whether the gap is small enough.
        linear: the part of `patient - mean` that linear scores make, which needs no approximation; None for a model
            without them.
        modalities: modality -> sum of its values' contributions.
        absent: modality -> the number if it had not been measured, minus `patient`; only of modalities beside which
            there is another one.
        edges: share of `patient - mean` that is missing without the edges of the graphs; None where it is too small to
            speak of, or there are no edges.
        higher: values that raise the number most.
        lower: values that lower it most.
        rest: sum of the contributions of all other values.
        pathways_higher: pathways that raise it most.
        pathways_lower: pathways that lower it most.
        agreement: of the trainings in an ensemble; None of a single one, of which it is not known.
        method: name of the method.
        caveat: what it does not say.
    """

    task: str
    outcome: str
    horizon: float | None
    unit: str
    scale: str
    patient: float
    mean: float
    steps: int
    gap: float
    converged: bool
    linear: float | None
    modalities: dict[str, float]
    absent: dict[str, float]
    edges: float | None
    higher: tuple[ColumnContribution, ...]
    lower: tuple[ColumnContribution, ...]
    rest: float
    pathways_higher: tuple[PathwayContribution, ...]
    pathways_lower: tuple[PathwayContribution, ...]
    agreement: SeedAgreement | None = None
    method: Literal["integrated gradients"] = "integrated gradients"
    caveat: str = CAVEAT

    def lines(self) -> list[str]:
        """Write the explanation as lines, without the caveat."""
        difference = self.patient - self.mean
        scale = (
            f"{self.scale} (+0.69 doubles the {self.scale.removeprefix('log ').removeprefix('log-')})"
            if self.scale.startswith("log")
            else self.scale or "its unit"
        )
        by = "" if self.horizon is None else f" risk by {written(self.horizon)} {self.unit}"
        which = f"{self.task}{by}{f' {self.outcome}' if self.outcome else ''}"
        lines = [
            f"  reasons for {which}, in {scale}:",
            f"    this patient is at {self.patient:+.3f}, and a patient of average values at {self.mean:+.3f};"
            f" the difference of {difference:+.3f} comes from {_listed(self.modalities)}",
        ]
        if not self.converged:
            lines.append(
                f"    WARNING the contributions below did not converge: they miss the difference by {self.gap:+.3f}"
                f" with {self.steps} steps, more than {TOLERANCE:.0%} of it"
            )
        if self.linear is not None:
            lines.append(
                f"    {self.linear:+.3f} of it is added up value by value (linear scores); the rest depends on values"
                " together"
            )
        if self.edges is not None:
            lines.append(
                f"    {self.edges:.0%} of it is missing without the connections between values (edges of the graphs)"
            )
        lines.append(
            "    whether another training of the model would give the same reasons is not known: this is one training"
            if self.agreement is None
            else f"    {self.agreement.line()}"
        )
        for title, reasons in (
            ("values that raise it most", self.higher),
            ("values that lower it most", self.lower),
            ("pathways that raise it most (they overlap)", self.pathways_higher),
            ("pathways that lower it most (they overlap)", self.pathways_lower),
        ):
            if reasons:
                lines += [f"    {title}", *(f"      {reason.line()}" for reason in reasons)]
        lines.append(f"    all other values together {self.rest:+.3f}")
        if self.absent:
            lines.append(f"    change if it had not been measured at all: {_listed(self.absent)}")
        return lines


def _listed(numbers: dict[str, float]) -> str:
    return ", ".join(f"{name} {number:+.3f}" for name, number in numbers.items())
