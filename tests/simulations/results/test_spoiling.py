"""Record of warnings."""

from pathlib import Path

import pytest

from common.errors import InvalidContentError
from simulations.results.spoiling import FILE_NAME, WarningFigures
from tests.simulations.report.test_spoiling import figures


def test_figures_survive_their_file(tmp_path: Path) -> None:
    made = figures()
    made.write(tmp_path / FILE_NAME)
    assert WarningFigures.beside(tmp_path) == made


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    assert WarningFigures.beside(tmp_path) is None
    (tmp_path / FILE_NAME).write_text("{}")
    with pytest.raises(InvalidContentError, match=r"warnings\.json"):
        WarningFigures.beside(tmp_path)
