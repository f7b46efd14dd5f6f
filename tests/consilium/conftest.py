"""A simulation of a small cohort, called from Python once for all tests."""

from pathlib import Path

import pytest

import consilium
from tests.conftest import draw_anew_a_few_times


@pytest.fixture(scope="session")
def finished(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[consilium.Result, Path]:
    """The federated arm alone on two folds, and the folder of its files."""
    out = tmp_path_factory.mktemp("face") / "out"
    with pytest.MonkeyPatch.context() as patch:
        draw_anew_a_few_times(patch)
        result = consilium.simulate(written_cohort, folds=2, seed=3, federated_only=True, out=out)
    return result, out
