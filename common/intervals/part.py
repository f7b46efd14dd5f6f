"""Intervals as a part of an assessment, from patients who trained and chose nothing.

First hospitals tell how many patients were censored when, and the coordinator makes a hazard of censoring of it; then
they sum weights by steps of the score. Every number has the minimum count of patients behind it: parts of the
follow-up and steps of the score are merged until they have, and a hospital with fewer events, or fewer patients
without one, tells its patients alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from common.assessment.part import Arrays, Asked, SiteSums, Sum, Whose
from common.intervals.shapes import MOST_HAZARD, censoring_sums, step_sums
from common.release.members import INTERVALS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from common.agreement.federation import Federation
    from common.assessment.patient_view import PatientView
    from common.tasks.task import Task


class IntervalPart:
    """Intervals of every task that has a known form; see `common.assessment.part.Part`."""

    name = "intervals"
    whose = Whose.CALIBRATION
    member = INTERVALS

    def questions(self, agreement: Federation) -> int:
        """One, and one about censoring for a time; none without patients for calibration."""
        if not agreement.training.calibration_fraction or not _named(agreement, step_sums):
            return 0
        return 2 if _named(agreement, censoring_sums) else 1

    def asked(self, agreement: Federation, number: int) -> dict[str, Asked]:
        """The hazard of censoring of every task of times, with the last question."""
        if number == 0:
            return {}
        return {
            f"{task.name}.hazard": Asked(censoring_sums(task)["censored"].shape, 0.0, MOST_HAZARD)
            for task in agreement.tasks
            if censoring_sums(task)
        }

    def sums(self, agreement: Federation, number: int) -> dict[str, Sum]:
        """Censored patients, or weights by steps."""
        is_last = number + 1 == self.questions(agreement)
        return _named(agreement, step_sums if is_last else censoring_sums)

    def computed(self, view: PatientView, asked: Arrays, number: int) -> Arrays:
        """Sum over the hospital's patients with known outcomes."""
        from common.intervals.task_sums import censoring, steps

        is_last = number + 1 == self.questions(view.federation)
        sums: dict[str, np.typing.NDArray[np.float64]] = {}
        for task in view.federation.tasks:
            labels = view.patients.labels[task.name].double().numpy()
            labelled = view.patients.labelled[task.name].numpy()
            made: Mapping[str, np.typing.NDArray[np.float64]] = {}
            if is_last and step_sums(task):
                prediction = task.predict(view.outputs[task.name], view.prepared.cuts.get(task.name))
                hazard = asked.get(f"{task.name}.hazard")
                made = steps(task, prediction, labels, labelled, hazard, view.least)
            elif not is_last and censoring_sums(task):
                ends = view.prepared.cuts[task.name].double().numpy()
                made = censoring(ends, labels, labelled, view.least)
            sums |= {f"{task.name}.{name}": values for name, values in made.items()}
        return sums

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        """Make the pooled hazard of censoring."""
        from common.intervals.censoring import pooled_hazard

        return {
            name: pooled_hazard(
                *(
                    np.stack([sums.sums[f"{name.removesuffix('hazard')}{kind}"] for sums in sites.values()])
                    if sites
                    else np.zeros((1, *hazard.shape))
                    for kind in ("censored", "seen")
                )
            )
            for name, hazard in self.asked(agreement, number + 1).items()
        }

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        """Fit thresholds and write their table; tasks with too few events say so in it."""
        from common.intervals.making import table_of

        return table_of(agreement.tasks, {name: site.sums for name, site in sites.items()}).content()


def _named(agreement: Federation, sums_of: Callable[[Task], dict[str, Sum]]) -> dict[str, Sum]:
    return {f"{task.name}.{name}": sum_ for task in agreement.tasks for name, sum_ in sums_of(task).items()}


PART = IntervalPart()
