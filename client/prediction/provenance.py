"""Model behind forecasts, and what has to be known before a number of theirs is read."""

from pydantic import Field

from client.prediction.record import ForecastPart
from common.release.card import USE

UNCHECKED = (
    "Nobody checked whether the tables look like those of training patients: this model has no such check."
)
"""Sentence on forecasts of a model without a structure."""


class TaskCalibrated(ForecastPart):
    """Calibration of a task at a hospital.

    Attributes:
        yes: whether every outcome of the task was moved to a level of this hospital.
        here: events of this hospital behind it; None where they are too few to be told, or it had no part.
        events: of all hospitals, as told.
        words: for a person.
    """

    yes: bool
    here: int | None
    events: int
    words: str


class Provenance(ForecastPart):
    """Model behind forecasts, with warnings on the tables.

    Attributes:
        version: of the release; None for a run that was not released.
        federation: digest of the federation file.
        models: number of trainings whose mean is predicted.
        calibrated: whether every task was calibrated at this hospital.
        calibration: task -> whether and how; empty where the model has no calibration.
        use: what the forecasts are for.
        checked: whether the tables were held against those of training patients.
        warnings: sentences on the tables.
    """

    version: str | None
    federation: str
    models: int = 1
    calibrated: bool = False
    calibration: dict[str, TaskCalibrated] = Field(default={})
    use: str = USE
    checked: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def calibrated_words(self) -> str:
        """Whether the model was calibrated at this hospital, task by task."""
        of_tasks = "; ".join(f"{task} {state.words}" for task, state in self.calibration.items())
        return of_tasks or ("yes" if self.calibrated else "no")

    @property
    def model(self) -> str:
        """Name of the model: the version of the release, or the run's federation file."""
        model = self.version or f"run of federation file {self.federation[:10]}, not released"
        return f"{model}, the mean of {self.models} trainings" if self.models > 1 else model
