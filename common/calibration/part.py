"""Calibration as a part of an assessment, from the patients who did not train.

Three kinds of number leave: labelled patients, events, and what the model expected. A count of events has the minimum
count of patients with and of patients without behind it. Where there is more than one expectation, by slopes or levels,
there are at least two patients for every number of a task, so that no system of equations gives a
patient's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from common.assessment.part import Arrays, Asked, SiteSums, Sum, Whose
from common.calibration.shapes import sums_of
from common.release.members import CALIBRATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.agreement.federation import Federation
    from common.assessment.patient_view import PatientView


class CalibrationPart:
    """Calibration of every task that has a known form; see `common.assessment.part.Part`."""

    name = "calibration"
    whose = Whose.HELD_OUT
    member = CALIBRATION

    def questions(self, agreement: Federation) -> int:
        """One, if a task can be calibrated."""
        return 1 if self.sums(agreement, 0) else 0

    def asked(self, agreement: Federation, number: int) -> dict[str, Asked]:
        """Nothing beside the model."""
        return {}

    def sums(self, agreement: Federation, number: int) -> dict[str, Sum]:
        """Sums of every task."""
        return {
            f"{task.name}.{name}": sum_ for task in agreement.tasks for name, sum_ in sums_of(task).items()
        }

    def computed(self, view: PatientView, asked: Arrays, number: int) -> Arrays:
        """Sum over the hospital's patients with known outcomes."""
        from common.calibration.task_sums import computed

        sums: dict[str, np.typing.NDArray[np.float64]] = {}
        for task in view.federation.tasks:
            prediction = task.predict(view.outputs[task.name], view.prepared.cuts.get(task.name))
            labels = view.patients.labels[task.name].double().numpy()
            labelled = view.patients.labelled[task.name].numpy()
            made = computed(task, prediction, labels, labelled, view.least, view.calibrating)
            sums |= {f"{task.name}.{name}": np.asarray(values, np.float64) for name, values in made.items()}
        return sums

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        """Nothing: there is one question."""
        return {}

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        """Fit levels and write their table; tasks with too few events say so in it."""
        from common.calibration.fitting import fitted

        return fitted(agreement.tasks, {name: site.sums for name, site in sites.items()}).content()


PART = CalibrationPart()
