"""Record of warnings."""

from pathlib import Path

from simulations.results.spoiling import FILE_NAME, WarningFigures
from tests.simulations.report.test_spoiling import figures


def test_figures_survive_their_file(tmp_path: Path) -> None:
    made = figures()
    made.write(tmp_path / FILE_NAME)
    assert WarningFigures.model_validate_json((tmp_path / FILE_NAME).read_bytes()) == made
