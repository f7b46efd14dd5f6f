"""Validation as a part of an assessment, on patients who did not train or who test.

In a first question hospitals say how the predicted risks of a time to an event are spread, so that thirds of risk are
the same everywhere; in the last they send all sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from common.assessment.part import Arrays, Asked, SiteSums, Sum, Whose
from common.release.members import TEST, VALIDATION
from common.validation.sums.shapes import RISKS, group_names, horizons_asked, is_judged, sums_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from common.agreement.federation import Federation
    from common.assessment.patient_view import PatientView
    from common.tasks.task import Task

_HISTOGRAM = "histogram"
_EDGES = "edges"


@dataclass
class ValidationPart:
    """Validation of every task with a probability; see `common.assessment.part.Part`."""

    name: str
    whose: Whose
    member: str

    def questions(self, agreement: Federation) -> int:
        """Two with a time to an event, one with other outcomes alone; none about nobody."""
        if not _judged(agreement) or (self.whose is Whose.TEST and not agreement.training.test_fraction):
            return 0
        return 2 if _timed(agreement) else 1

    def asked(self, agreement: Federation, number: int) -> dict[str, Asked]:
        """Return the edges of the thirds of risk, in the last of two questions."""
        return (
            {f"{task.name}.{_EDGES}": Asked((2,), 0.0, RISKS[-1]) for task in _timed(agreement)}
            if number
            else {}
        )

    def sums(self, agreement: Federation, number: int) -> dict[str, Sum]:
        """Patients by cell of risk, then all sums of every task."""
        if self._is_first_of_two(agreement, number):
            return {f"{task.name}.{_HISTOGRAM}": Sum((len(RISKS) + 1,)) for task in _timed(agreement)}
        return {
            f"{task.name}.{name}": one_sum
            for task in _judged(agreement)
            for name, one_sum in sums_of(task, agreement).items()
        }

    def computed(self, view: PatientView, asked: Arrays, number: int) -> Arrays:
        """Sum over the hospital's patients with outcomes."""
        from common.patients.divisions import divisions_of
        from common.validation.sums.computing import judged_outcomes, task_sums

        federation, patients = view.federation, view.patients
        is_first = self._is_first_of_two(federation, number)
        groups = {name: of.tolist() for name, of in divisions_of(patients, federation).items()}
        sums: dict[str, np.typing.NDArray[np.float64]] = {}
        for task in _timed(federation) if is_first else _judged(federation):
            prediction = task.predict(view.outputs[task.name], view.prepared.cuts.get(task.name))
            labels = patients.labels[task.name].double().numpy()
            judged = judged_outcomes(task, prediction, labels, patients.labelled[task.name].numpy())
            edges = asked.get(f"{task.name}.{_EDGES}")
            made = task_sums(task, judged, groups, group_names(federation), view.least, edges)
            if is_first:
                sums[f"{task.name}.{_HISTOGRAM}"] = made["cells"][0, :, 0]
            else:
                sums |= {f"{task.name}.{name}": np.asarray(array) for name, array in made.items()}
        return sums

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        """Choose the edges of risk that are nearest to thirds of all hospitals' patients."""
        edges: dict[str, np.typing.NDArray[np.float64]] = {}
        for task in _timed(agreement):
            name = f"{task.name}.{_HISTOGRAM}"
            counts = np.sum([np.zeros(len(RISKS) + 1), *(site.sums[name] for site in sites.values())], axis=0)
            edges[f"{task.name}.{_EDGES}"] = _edges(counts)
        return edges

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        """Make the table of all hospitals; None if no hospital had enough patients."""
        from common.validation.sums.table import table_of

        table = table_of(agreement, {name: site.sums for name, site in sites.items()})
        return None if table is None else table.content()

    def _is_first_of_two(self, agreement: Federation, number: int) -> bool:
        return number + 1 < self.questions(agreement)


def _judged(agreement: Federation) -> list[Task]:
    return [task for task in agreement.tasks if is_judged(task)]


def _timed(agreement: Federation) -> list[Task]:
    return [task for task in _judged(agreement) if horizons_asked(task)]


def _edges(counts: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Return the edges of `RISKS` nearest to thirds of counts by cell; 0 for none."""
    if not counts.any():
        return np.zeros(2)
    below = np.cumsum(counts)[:-1] / counts.sum()
    kept = counts[:-1] > 0  # other edges are within merged cells of every hospital
    distances = [np.where(kept, np.abs(below - share), np.inf) for share in (1 / 3, 2 / 3)]
    first, second = (int(distance.argmin()) for distance in distances)
    return np.array([RISKS[first], RISKS[second]]) if kept.any() and first < second else np.zeros(2)


PART = ValidationPart("validation", Whose.HELD_OUT, VALIDATION)
TEST_PART = ValidationPart("test", Whose.TEST, TEST)
