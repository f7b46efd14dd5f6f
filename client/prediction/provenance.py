"""Model behind forecasts, and what has to be known before a number of theirs is read."""

from client.prediction.forecast import ForecastPart
from common.release.card import USE

UNCHECKED = (
    "The tables were not held against those of training patients: the model comes without what that needs."
)
"""Sentence on forecasts of a model without a structure."""


class Provenance(ForecastPart):
    """Model behind forecasts, with warnings on the tables.

    Attributes:
        version: of the release; None for a run that was not released.
        federation: digest of the federation file.
        models: number of trainings whose mean is predicted.
        calibrated: whether probabilities were calibrated at this hospital.
        use: what the forecasts are for.
        checked: whether the tables were held against those of training patients.
        warnings: sentences on the tables.
    """

    version: str | None
    federation: str
    models: int = 1
    calibrated: bool = False
    use: str = USE
    checked: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def model(self) -> str:
        """Name of the model: the version of the release, or the run's federation file."""
        model = self.version or f"run of federation file {self.federation[:10]}, not released"
        return f"{model}, the mean of {self.models} trainings" if self.models > 1 else model
