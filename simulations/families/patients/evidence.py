"""Curves of patients' outcomes: survival by predicted risk, ROC curves and calibration."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from simulations.report.outcomes.curves import calibration_curve
from simulations.report.outcomes.evidence import TaskEvidence
from simulations.report.outcomes.validation import validation_of
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.outcome_drawings import outcome_drawings
from simulations.report.plots.outcome_plots import calibration_plot
from simulations.report.plots.style import Plot
from simulations.results.validation import SimulatedValidation


@dataclass(frozen=True)
class PatientEvidence:
    """Held-out patients behind the curves of the report, by task; they stay in memory."""

    tasks: Mapping[str, TaskEvidence]

    def drawings(self, question: str) -> Iterable[Drawing]:
        """Draw the curves of one task."""
        return outcome_drawings(self.tasks[question]) if question in self.tasks else ()

    def validation(self, question: str) -> SimulatedValidation | None:
        """Judge the federated model's probabilities for one task."""
        return validation_of(self.tasks[question]) if question in self.tasks else None

    def plots(self, question: str) -> Mapping[str, Callable[[], Plot | None]]:
        """Calibration of one task."""
        if question not in self.tasks:
            return {}
        return {"calibration": lambda: _calibration(self.tasks[question])}


def _calibration(evidence: TaskEvidence) -> Plot | None:
    curve = calibration_curve(evidence)
    return None if curve is None else calibration_plot(curve)
