"""Validation of a simulation's federated model on all held-out patients, and over hospitals."""

from pydantic import Field

from common.validation.figures import TaskFigures
from common.validation.meta_analysis import Pooled
from simulations.results.machine import Record


class SimulatedValidation(Record):
    """Figures of a task beside its scores.

    Attributes:
        figures: calibration, error and net benefit on the held-out patients of all folds, without groups and without
            discrimination, which are elsewhere in the result.
        concordance: of hospitals with enough held-out patients, by random effects; None for fewer than three.
        ratio: observed to expected risk of hospitals, by random effects; None for fewer than three.
        ratios: hospital -> observed to expected risk, of those with enough patients.
    """

    figures: TaskFigures
    concordance: Pooled | None = None
    ratio: Pooled | None = None
    ratios: dict[str, float] = Field(default_factory=dict)
