"""Part of an assessment that sums up explanations over a hospital's held-out patients.

It is asked only where the federation file says `statistics.explanations`: a contribution follows its value, so that
sums of contributions tell as much as sums of values. No gene has a sum of its own.
"""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.assessment.part import Arrays, Asked, Part, SiteSums, Sum, Whose
from common.explanation.outcomes import LIMIT, LONGEST, MOST_PATHWAYS, interval_of, outcomes_of
from common.release.explanation_table import ExplainedOutcome, ExplanationTable, MeanContribution
from common.release.members import EXPLANATIONS
from common.tasks.task import OutcomeForm

if TYPE_CHECKING:
    from common.assessment.patient_view import PatientView


CLEAR = 4.0
"""Standard deviations of the noise above which a sum is told: of 2,000 sums of noise, one in 15 tables has one."""

NORMAL_MEDIAN = 0.6745
"""Median size of a normal number of deviation 1."""


class ExplanationPart:
    """Sums of contributions; see `common.assessment.part.Part`."""

    name = "explanations"
    whose = Whose.HELD_OUT
    member = EXPLANATIONS

    def questions(self, agreement: Federation) -> int:
        """One, where the file asks for explanations."""
        return int(agreement.statistics.explanations and bool(outcomes_of(agreement)))

    def asked(self, agreement: Federation, number: int) -> Mapping[str, Asked]:
        """Nothing beside the model."""
        return {}

    def sums(self, agreement: Federation, number: int) -> Mapping[str, Sum]:
        """Sums of contributions, [outcomes, modalities and pathways]."""
        pathways = MOST_PATHWAYS if agreement.prior.pathways is not None else 0
        shape = len(outcomes_of(agreement)), len(agreement.modalities) + pathways
        sums = {"signed": Sum(shape, -LIMIT, LIMIT), "absolute": Sum(shape, 0.0, LIMIT)}
        return sums if agreement.privacy is None else sums | {"patients": Sum((1,))}

    def bound(self, agreement: Federation) -> float:
        """Norm of a patient's contributions, and 1 for the patient."""
        return sqrt(LONGEST**2 + 1)

    def bounded(self, view: "PatientView") -> NDArray[np.float64]:
        """Sums of contributions, and the number of patients."""
        from common.explanation.cohort_sums import bounded

        return bounded(view, self.sums(view.federation, 0)["signed"].shape)

    def computed(self, view: "PatientView", asked: Arrays, number: int) -> Arrays:
        """Compute the sums."""
        from common.explanation.cohort_sums import computed

        shape = self.sums(view.federation, number)["signed"].shape
        return computed(view, shape)

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        """Nothing: there is one question."""
        return {}

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        """Make the table of mean contributions; None if no hospital told any."""
        telling = [site for _, site in sorted(sites.items()) if site.sums["absolute"].any()]
        if not telling:
            return None
        signed = np.sum([site.sums["signed"] for site in telling], axis=0)
        absolute = np.sum([site.sums["absolute"] for site in telling], axis=0)
        if agreement.privacy is None:
            patients = np.sum([site.patients * (site.sums["absolute"] > 0) for site in telling], axis=0)
            whole, noise = sum(site.patients for site in telling), 0.0
        else:
            count = float(np.sum([site.sums["patients"] for site in telling]))
            noise = self._deviation(agreement, telling)
            if count < CLEAR * noise:
                return None
            clear = absolute > CLEAR * noise
            patients, whole = np.where(clear, round(count), 0), round(count)
        count = len(agreement.modalities)
        names = [modality.name for modality in agreement.modalities]
        outcomes = []
        for row, (task, _, outcome) in enumerate(outcomes_of(agreement)):
            made = [
                MeanContribution(
                    modality=names[column] if column < count else "",
                    number=None if column < count else column - count,
                    signed=float(signed[row, column] / patients[row, column]),
                    absolute=float(absolute[row, column] / patients[row, column]),
                    patients=int(patients[row, column]),
                )
                for column in np.flatnonzero(patients[row]).tolist()
            ]
            outcomes.append(
                ExplainedOutcome(
                    task=task.name,
                    outcome=outcome,
                    interval=interval_of(task) if task.form is OutcomeForm.TIME_TO_EVENT else None,
                    modalities=_largest([part for part in made if part.number is None]),
                    pathways=_largest([part for part in made if part.number is not None]),
                )
            )
        table = ExplanationTable(
            hospitals=len(telling),
            patients=whole,
            limit=LIMIT,
            noise=noise / whole,
            outcomes=tuple(outcomes),
        )
        return table.content()

    def _deviation(self, agreement: Federation, telling: Sequence[SiteSums]) -> float:
        """Standard deviation of the noise in a sum over hospitals.

        It is that of the file, or what the sums show where hospitals add more: of `MOST_PATHWAYS` most are no
        pathway's, and their sums are noise alone.
        """
        assert agreement.privacy is not None
        multiplier = agreement.privacy.explanations_noise_multiplier
        assert multiplier is not None
        signed = np.sum([site.sums["signed"] for site in telling], axis=0)
        asked = multiplier * self.bound(agreement) * sqrt(len(telling))
        if agreement.prior.pathways is None:
            return asked
        return max(asked, float(np.median(np.abs(signed))) / NORMAL_MEDIAN)


def _largest(parts: Sequence[MeanContribution]) -> tuple[MeanContribution, ...]:
    return tuple(sorted(parts, key=lambda part: -part.absolute))


PART: "Part[Federation, PatientView]" = ExplanationPart()
