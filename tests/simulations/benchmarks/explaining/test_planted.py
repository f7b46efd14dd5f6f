"""The planted truth is that of the synthetic cohort."""

from pathlib import Path

import numpy as np
import pytest

from common.agreement.federation import FILE_NAME, load
from simulations.benchmarks.explaining.planted import planted_signs, recovery
from simulations.cohorts.synthetic import write_synthetic


def test_perfect_explanations_recover_the_planted_genes(tmp_path: Path) -> None:
    truth = write_synthetic(tmp_path / "cohort", sites=2, patients=4)
    federation = load(tmp_path / "cohort" / FILE_NAME)
    signs, direct = planted_signs(60)
    assert np.array_equal(direct, truth.genes != 0)
    assert [int(signs[gene]) for gene in (0, 8, 16, 59)] == [1, -1, 0, 1]
    made = recovery(federation, np.abs(signs), signs)
    assert (made.genes, made.area, made.direct, made.signs) == (19, 1.0, 1.0, 1.0)
    wrong = recovery(federation, np.abs(signs), -signs)
    assert wrong.signs == 0.0
    chance = recovery(federation, np.ones(60), signs)
    assert chance.area == pytest.approx(0.5)
