"""Forecasts of patients by one model: as text, as JSON and as a page."""

from pathlib import Path

from pydantic import Field

from client.prediction.forecast import PatientForecast
from client.prediction.provenance import Provenance
from common.explanation.enrichment import Enrichment
from common.files import write_whole
from common.lifetime.named_output import require_output


class Forecasts(Provenance):
    """Forecasts of patients by one model.

    Attributes:
        patients: in the order of the tables.
        enrichment: pathways of the genes that matter most over the patients; none unless it was asked for.
    """

    patients: tuple[PatientForecast, ...] = Field(min_length=1)
    enrichment: tuple[Enrichment, ...] = ()

    def lines(self) -> list[str]:
        """Write the forecasts as lines, with what has to be known first."""
        calibrated = "yes" if self.calibrated else "no"
        lines = [f"Model {self.model}. For {self.use}. Calibrated at this hospital: {calibrated}."]
        lines += [f"WARNING {warning}" for warning in self.warnings]
        for patient in self.patients:
            lines += ["", *patient.lines()]
        for enrichment in self.enrichment:
            lines += ["", *enrichment.lines()]
        return lines

    def html(self) -> str:
        """Write one self-contained HTML page for each patient, in one text.

        Reasons are in it if the forecasts were explained. The page names its patients.
        """
        from client.prediction.page.page import render

        return render(self, self.patients)

    def to_html(self, path: Path | str) -> None:
        """Write the pages into a file that its owner alone can read.

        Raises:
            InputError: if the path is a link, a folder, a pipe or a device.
            OSError: if the file cannot be written.
        """
        require_output(Path(path), [])
        write_whole(Path(path), self.html().encode(), 0o600)
