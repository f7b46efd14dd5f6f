"""Forecasts of patients by one model, with what has to be known before a number is read."""

from pydantic import Field

from client.prediction.forecast import Part, PatientForecast
from common.release.card import USE


class Forecasts(Part):
    """Forecasts of patients by one model.

    Attributes:
        version: of the release; None for a run that was not released.
        federation: digest of the federation file.
        models: number of trainings whose mean is predicted.
        calibrated: whether probabilities were calibrated at this hospital.
        use: what they are for.
        warnings: sentences on the tables.
        patients: in the order of the tables.
    """

    version: str | None
    federation: str
    models: int = 1
    calibrated: bool = False
    use: str = USE
    warnings: tuple[str, ...] = ()
    patients: tuple[PatientForecast, ...] = Field(min_length=1)

    def lines(self) -> list[str]:
        """Write the forecasts as lines, with what has to be known first."""
        model = self.version or f"run of federation file {self.federation[:10]}, not released"
        model += f", the mean of {self.models} trainings" if self.models > 1 else ""
        calibrated = "yes" if self.calibrated else "no"
        lines = [f"Model {model}. For {self.use}. Calibrated at this hospital: {calibrated}."]
        lines += [f"WARNING {warning}" for warning in self.warnings]
        for patient in self.patients:
            lines += ["", *patient.lines()]
        return lines
