"""Table of explanations over hospitals: mean contributions by modality and pathway."""

from typing import Annotated

from pydantic import Field

from common.counting import counted
from common.release.record import MemberRecord, ReleaseRecord

SHOWN = 5
"""Pathways that are named in a line."""

Finite = Annotated[float, Field(allow_inf_nan=False)]


class MeanContribution(ReleaseRecord):
    """Contribution of a modality, or of a pathway's members in it, the mean over patients.

    Attributes:
        modality: its name.
        pathway: its name; empty of a modality, and until a release names it.
        number: of the pathway among those of all modalities, from 0; None of a modality.
        signed: mean, with its direction.
        absolute: mean of its size.
        patients: of the hospitals that told it.
    """

    modality: str
    pathway: str = ""
    number: int | None = None
    signed: Finite
    absolute: Finite = Field(ge=0)
    patients: int = Field(ge=0)


class ExplainedOutcome(ReleaseRecord):
    """Mean contributions to one number.

    Attributes:
        task: its name.
        outcome: class or label; empty for a time or a number.
        interval: hazard interval by whose end the risk is explained, from 1; None without a time.
        modalities: the largest first.
        pathways: the largest first.
    """

    task: str
    outcome: str
    interval: int | None
    modalities: tuple[MeanContribution, ...]
    pathways: tuple[MeanContribution, ...]


class ExplanationTable(MemberRecord):
    """Mean contributions over the held-out patients of hospitals.

    Attributes:
        hospitals: that told sums.
        patients: of these hospitals.
        limit: at which a patient's contribution is clipped, on the log scale or in standard deviations of a number.
        noise: standard deviation of the noise in a mean, under privacy; what does not stand out of it is left out.
        outcomes: explained numbers.
    """

    hospitals: int = Field(ge=1)
    patients: int = Field(ge=1)
    limit: Finite
    noise: Finite = Field(default=0.0, ge=0)
    outcomes: tuple[ExplainedOutcome, ...]

    @property
    def tasks(self) -> dict[str, ExplainedOutcome]:
        """Tasks that are explained, with one of their outcomes."""
        return {outcome.task: outcome for outcome in self.outcomes}

    def lines(self) -> list[str]:
        """Say what answers follow most, over all hospitals."""
        if self.noise:
            whose = (
                f"about {counted(self.patients, 'patient')} of {counted(self.hospitals, 'hospital')}, "
                f"with noise of {self.noise:.2g}, and what does not stand out of it left out"
            )
        else:
            whose = f"{counted(self.patients, 'held-out patient')} of {counted(self.hospitals, 'hospital')}"
        return [f"{_said(outcome)} (mean size of contributions, {whose})." for outcome in self.outcomes]


def _said(outcome: ExplainedOutcome) -> str:
    by = "" if outcome.interval is None else f" by the end of interval {outcome.interval}"
    name = f"{outcome.task}{f' {outcome.outcome}' if outcome.outcome else ''}{by}"
    parts = [f"{part.modality} {part.absolute:.2f}" for part in outcome.modalities]
    pathways = [
        f"{part.modality} {part.pathway} {part.absolute:.2f} (n {part.patients})"
        for part in outcome.pathways[:SHOWN]
        if part.pathway
    ]
    listed = f"; pathways {', '.join(pathways)}" if pathways else ""
    return f"Answers on {name} follow {', '.join(parts) or 'nothing that could be told'}{listed}"
