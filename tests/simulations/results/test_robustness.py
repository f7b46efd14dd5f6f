"""The file of robustness, written and read."""

from pathlib import Path

import pytest

from common.errors import InvalidContentError
from simulations.results.robustness import CohortRobustness, Condition, Robustness


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert Robustness.beside(tmp_path) is None
    condition = Condition(kind="none", level="", scores={"response": {"federated": (0.5, None, 0.7)}})
    cohort = CohortRobustness(headlines={"response": "auroc"}, conditions=(condition,), left_out={})
    figures = Robustness(cohorts={"lung": cohort})
    figures.write(tmp_path / "robustness.json")
    assert Robustness.beside(tmp_path) == figures
    assert cohort.unperturbed("response", "federated") == pytest.approx(0.6)
    assert cohort.unperturbed("response", "forest") is None


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "robustness.json").write_text("{}")
    with pytest.raises(InvalidContentError, match=r"robustness\.json"):
        Robustness.beside(tmp_path)
