"""Forecasts of patients by one model: as text, as JSON and as a page."""

from pathlib import Path
from typing import Self

from pydantic import Field

from client.prediction.forecast import PatientForecast
from client.prediction.labelled import labelled_enrichment, labelled_patient
from client.prediction.provenance import UNCHECKED, Provenance
from common.agreement.display_names import DisplayNames
from common.counting import counted
from common.explanation.enrichment import Enrichment
from common.files import write_whole
from common.lifetime.named_output import require_output
from common.structure.answer import Answer


class Forecasts(Provenance):
    """Forecasts of patients by one model.

    Attributes:
        patients: in the order of the tables.
        enrichment: pathways of the genes that matter most over the patients; none unless it was asked for.
        display_names: of the federation file, which text and pages use; JSON has them beside the tables' names.
    """

    patients: tuple[PatientForecast, ...] = Field(min_length=1)
    enrichment: tuple[Enrichment, ...] = ()
    display_names: DisplayNames = Field(
        default=DisplayNames(), exclude_if=lambda names: names == DisplayNames()
    )

    @property
    def labelled(self) -> Self:
        """The forecasts in the words of the federation file."""
        names = self.display_names
        return self.model_copy(
            update={
                "calibration": {names.task(task): made for task, made in self.calibration.items()},
                "patients": tuple(labelled_patient(patient, names) for patient in self.patients),
                "enrichment": tuple(labelled_enrichment(part, names) for part in self.enrichment),
                "display_names": DisplayNames(),
            }
        )

    def lines(self) -> list[str]:
        """Write the forecasts as lines, with what has to be known first."""
        return self.labelled._lines()

    def _lines(self) -> list[str]:
        lines = [f"NO PREDICTION {self.withheld}."] if self.withheld else []
        lines += [
            f"Model {self.model}. For {self.use}. Calibrated at this hospital: {self.calibrated_words}."
        ]
        if not self.checked:
            lines.append(UNCHECKED)
        lines += [f"WARNING {warning}" for warning in self.warnings]
        for patient in self.patients:
            lines += ["", *patient.lines()]
        for enrichment in self.enrichment:
            lines += ["", *enrichment.lines()]
        return lines

    @property
    def unpredicted(self) -> int:
        """Number of patients who are not predicted."""
        return sum(patient.answer is Answer.NONE for patient in self.patients)

    @property
    def withheld(self) -> str:
        """Words on how many patients are not predicted; empty where all are."""
        if not self.unpredicted:
            return ""
        patients = counted(len(self.patients), "patient")
        return f"for {self.unpredicted:,} of {patients}: see what was found in their tables"

    @property
    def exit_code(self) -> int:
        """Exit code of a command: 0, 2 where nobody is predicted, 3 where some patients are not."""
        if not self.unpredicted:
            return 0
        return 2 if self.unpredicted == len(self.patients) else 3

    def html(self) -> str:
        """Write one self-contained HTML page for each patient, in one text.

        Reasons are in it if the forecasts were explained. The page names its patients.
        """
        from client.prediction.page.page import render

        labelled = self.labelled
        return render(labelled, labelled.patients)

    def to_html(self, path: Path | str) -> None:
        """Write the pages into a file that its owner alone can read.

        Raises:
            InputError: if the path is a link, a folder, a pipe or a device.
            OSError: if the file cannot be written.
        """
        require_output(Path(path), [])
        write_whole(Path(path), self.html().encode(), 0o600)
