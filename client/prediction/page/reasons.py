"""Reasons of a number as rows of a page: the value in words, and its effect as a factor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from client.prediction.page.words import (
    answer_about,
    direction,
    effect,
    in_a_hundred,
    minus,
    probability,
    spoken,
)
from common.counting import counted
from common.explanation.agreement import SeedAgreement
from common.explanation.explanation import ColumnContribution, Explanation, PathwayContribution

SHOWN = 5
"""Reasons on either side, so that no list of genes is longer than ten."""

LEAST = 0.02
"""Share of the largest contribution from which on a value is a reason."""


@dataclass(frozen=True)
class ReasonRow:
    """Row of a list of reasons.

    Attributes:
        name: of the column or pathway.
        group: modality that it is from.
        value: of the patient, in its unit.
        note: distance from the average, or values of the pathway, in words.
        effect: factor of hazard or odds, or in the number's unit.
        share: length of its bar, of the longest one.
    """

    name: str
    group: str
    value: str
    note: str
    effect: str
    share: float


@dataclass(frozen=True)
class Absence:
    """Answer of the model if a modality had not been measured.

    Attributes:
        modality: its name.
        words: the answer.
    """

    modality: str
    words: str


@dataclass(frozen=True)
class Reasons:
    """Reasons of one number.

    Attributes:
        title: the number that they are of.
        average: the same number for a patient of average values; empty without a probability.
        unit: meaning of an effect.
        raises: words above the reasons that raise the number.
        lowers: words above those that lower it.
        higher: values that raise it most.
        lower: values that lower it most.
        pathways_higher: pathways that raise it most.
        pathways_lower: pathways that lower it most.
        rest: effect of all other values together.
        absences: answers without a modality.
        before: the answer that is explained, where it was calibrated to another one; else empty.
        measured: the answer with all of them; empty where absences are differences from it.
        edges: share of the difference that passes through connections; empty if it is not to be spoken of.
        agreement: of several trainings; empty for one.
        doubts: sentences on why not to rely on the reasons.
        caveat: what they do not say.
    """

    title: str
    average: str
    unit: str
    raises: str
    lowers: str
    higher: tuple[ReasonRow, ...]
    lower: tuple[ReasonRow, ...]
    pathways_higher: tuple[ReasonRow, ...]
    pathways_lower: tuple[ReasonRow, ...]
    rest: str
    absences: tuple[Absence, ...]
    before: str
    measured: str
    edges: str
    agreement: str
    doubts: tuple[str, ...]
    caveat: str


def reasons_of(explanation: Explanation, forecast: float | None = None) -> Reasons:
    """Write an explanation as reasons in words.

    Args:
        explanation: of a number before its calibration.
        forecast: the probability after it; None where there is none.
    """
    scale = explanation.scale
    values = [*explanation.higher, *explanation.lower]
    pathways = [*explanation.pathways_higher, *explanation.pathways_lower]
    longest = max((abs(reason.contribution) for reason in values), default=0.0)
    widest = max((abs(reason.contribution) for reason in pathways), default=0.0)
    mean = probability(explanation.mean, scale)
    answer = probability(explanation.patient, scale)
    raises, lowers = _sides(explanation)
    return Reasons(
        title=answer_about(explanation.task, explanation.outcome, explanation.horizon, explanation.unit),
        average="" if mean is None else _average(explanation, mean),
        unit=_meaning(scale),
        raises=raises,
        lowers=lowers,
        higher=_columns(explanation.higher, scale, longest),
        lower=_columns(explanation.lower, scale, longest),
        pathways_higher=_pathways(explanation.pathways_higher, scale, widest),
        pathways_lower=_pathways(explanation.pathways_lower, scale, widest),
        rest=effect(explanation.rest, scale) if explanation.rest else "",
        absences=tuple(
            Absence(spoken(name), _without(explanation, change))
            for name, change in explanation.absent.items()
        ),
        before="" if answer is None or forecast is None else _before(answer, forecast),
        measured="" if answer is None else in_a_hundred(answer),
        edges="" if explanation.edges is None else f"{explanation.edges:.0%}",
        agreement=_agreement(explanation.agreement),
        doubts=tuple(_doubts(explanation)),
        caveat=explanation.caveat,
    )


def _sides(explanation: Explanation) -> tuple[str, str]:
    if explanation.horizon is not None:
        return "Raise the risk", "Lower the risk"
    if explanation.outcome:
        return "Speak for it", "Speak against it"
    return "Raise the number", "Lower the number"


def _meaning(scale: str) -> str:
    """Say what an effect means."""
    if scale == "log cumulative hazard":
        return "\u00d7 2 means: events come twice as fast as with the average value."
    if scale == "log-odds":
        return "\u00d7 2 means: the odds are twice those with the average value."
    return "The figure is the difference from the answer with the average value."


def _doubts(explanation: Explanation) -> Iterator[str]:
    if not explanation.converged:
        yield "These reasons do not add up to the answer: do not rely on them."
    if explanation.agreement is not None and explanation.agreement.unstable:
        yield "Unstable: another training of the model would give other reasons."


def _agreement(agreement: SeedAgreement | None) -> str:
    if agreement is None:
        return ""  # the caveat says that another training may name others
    return f"{agreement.models} trainings of the model share {agreement.in_common:.0%} of the values that matter most."


def _before(answer: float, forecast: float) -> str:
    words = in_a_hundred(answer)
    return "" if words == in_a_hundred(forecast) else words


def _average(explanation: Explanation, mean: float) -> str:
    what = "a risk of" if explanation.horizon is not None else "a probability of"
    return f"{what} {in_a_hundred(mean)}"


def _columns(reasons: Sequence[ColumnContribution], scale: str, longest: float) -> tuple[ReasonRow, ...]:
    return tuple(
        ReasonRow(
            name=spoken(reason.column),
            group=spoken(reason.modality),
            value=minus(reason.value),
            note=direction(reason.deviations, reason.clamped),
            effect=effect(reason.contribution, scale),
            share=abs(reason.contribution) / longest,
        )
        for reason in reasons[:SHOWN]
        if abs(reason.contribution) >= LEAST * longest > 0
    )


def _pathways(reasons: Sequence[PathwayContribution], scale: str, longest: float) -> tuple[ReasonRow, ...]:
    return tuple(
        ReasonRow(
            name=spoken(reason.pathway),
            group=spoken(reason.modality),
            value="",
            note=counted(reason.measured, "value"),
            effect=effect(reason.contribution, scale),
            share=abs(reason.contribution) / longest,
        )
        for reason in reasons[:SHOWN]
        if abs(reason.contribution) >= LEAST * longest > 0
    )


def _without(explanation: Explanation, change: float) -> str:
    """Write the answer without a modality beside the one with it."""
    after = probability(explanation.patient + change, explanation.scale)
    if after is None:
        return effect(change, explanation.scale)
    return in_a_hundred(after)
