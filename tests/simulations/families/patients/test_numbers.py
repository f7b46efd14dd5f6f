"""Simulation of a task about a number, from tables to figures."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import consilium
from common.agreement.modalities import Modality, Plausible
from common.tasks.regression import RegressionTask
from simulations.cohorts.patients import SourcePatients, write_patients

SITES, PATIENTS = 2, 60


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Write patients whose extent is a sum of two columns and noise; nobody has a fold."""
    rng = np.random.default_rng(5)
    index = pd.Index([f"p{number}" for number in range(SITES * PATIENTS)])
    columns = pd.DataFrame(rng.normal(size=(len(index), 4)), index, [f"x{number}" for number in range(4)])
    extent = (15 + 4 * columns["x0"] - 3 * columns["x1"] + rng.normal(size=len(index))).clip(0, 40)
    site = pd.Series([f"site_{number % SITES}" for number in range(len(index))], index=index)
    outcomes = pd.DataFrame({"cm": extent})
    clinical = Modality(
        name="clinical",
        node="clinical",
        columns=tuple(columns),
        plausible=Plausible(unit="standard units", low=-8, high=8, typical=(-1, 1)),
    )
    task = RegressionTask(name="extent", target="cm", low=0, high=40, unit="cm")
    write_patients(
        tmp_path / "cohort",
        "extent",
        SourcePatients(site, outcomes, {"clinical": columns}),
        [clinical],
        [task],
    )
    for file in (tmp_path / "cohort").glob("*/site.toml"):
        file.write_text(re.sub(r"(?m)^fold = .*\n", "", file.read_text()))
    return tmp_path / "cohort"


@pytest.mark.slow
def test_the_federation_predicts_a_number_beside_classical_models_and_the_mean(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulations.baselines.numbers.TREES", 30)
    settings = {"statistics.minimum_count": 5, "statistics.loss_noise": 0, "training.linear_rounds": 8}
    result = consilium.simulate(cohort, fold=0, rounds=12, epsilons=(8.0,), settings=settings)
    arms = result.record.tasks["extent"]
    assert set(arms) == {
        "federated", "federated_linear", "local", "local_linear", "pooled", "ridge", "forest", "mlp", "null"
    }  # fmt: skip
    r2 = {arm: summaries["r2"].mean or 0 for arm, summaries in arms.items()}
    assert min(r2["federated"], r2["federated_linear"], r2["ridge"]) > 0.7
    assert abs(r2["null"]) < 0.2
    assert (arms["federated"]["mae"].mean or 9) < (arms["null"]["mae"].mean or 0)
    assert result.record.privacy[0].tasks["extent"]["r2"].mean is not None
    assert all("extent" not in hospital.events for hospital in result.record.hospitals.values())
    assert set(result.record.divisions["extent"]["hospital"]) == {"site_0", "site_1"}
    assert {"arms", "hospitals", "learning"} <= set(result.figures())
