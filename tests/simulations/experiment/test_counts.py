"""A kind of task from outside the packages, from tables to report."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import consilium
from client.data.cohort import passport
from client.data.inspection import read_cohort
from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.tasks.registry import metrics
from simulations.cohorts.patients import FOLD, SourcePatients, hold_out, write_patients
from simulations.report.page import render
from simulations.results.schema import SimulationResult
from tests.common.tasks.count_kind import CountTask

SITES, PATIENTS, GENES = 2, 60, 6
RANGE = Plausible(unit="standard units", low=-8, high=8, typical=(-1, 1))


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Federation]:
    """Write patients whose number of nodules follows two genes."""
    rng = np.random.default_rng(5)
    index = pd.Index([f"p{number}" for number in range(SITES * PATIENTS)])
    genes = pd.DataFrame(
        rng.normal(size=(len(index), GENES)), index, [f"G{number}" for number in range(GENES)]
    )
    nodules = rng.poisson(np.exp(1 + 0.6 * genes["G0"] - 0.5 * genes["G1"])).clip(0, 60).astype(float)
    site = pd.Series([f"site_{number % SITES}" for number in range(len(index))], index=index)
    outcomes = pd.DataFrame({"nodules": nodules}, index)
    outcomes = outcomes.mask(rng.random((len(index), 1)) < 0.1).assign(**{FOLD: hold_out(list(site), 0)})
    rna = Modality(name="rna", node="gene", columns=tuple(genes), plausible=RANGE)
    task = CountTask(name="nodules", target="nodules", most=60, usual=3, unit="nodules")
    folder = tmp_path_factory.mktemp("counts")
    agreed = write_patients(
        folder / "cohort", "nodules", SourcePatients(site, outcomes, {"rna": genes}), [rna], [task]
    )
    return folder / "cohort", agreed


@pytest.fixture(scope="module")
def result(federation: tuple[Path, Federation]) -> consilium.Result:
    settings = {
        "training.learning_rate": 0.01,
        "training.linear_rounds": 0,
        "training.local_epochs": 6,
        "statistics.minimum_count": 5,
        "statistics.loss_noise": 0,
    }
    return consilium.simulate(federation[0], fold=0, rounds=3, epsilons=(8.0,), settings=settings)


def test_federated_local_and_pooled_models_are_judged_by_its_metrics(result: consilium.Result) -> None:
    arms = result.record.tasks["nodules"]
    assert set(arms) == {"federated", "local", "pooled", "mlp"}
    assert set(arms["federated"]) == {"d2", "deviance"}
    d2 = {arm: summaries["d2"].mean or 0 for arm, summaries in arms.items()}
    assert min(d2["federated"], d2["pooled"]) > 0.5
    low, high = arms["federated"]["d2"].interval
    assert low is not None
    assert high is not None
    assert low < d2["federated"] < high


def test_its_rounds_have_losses_and_scores(result: consilium.Result) -> None:
    (rounds,) = result.record.history
    losses = [each.validation_loss or 0 for each in rounds]
    assert losses[-1] < 0.7 * losses[0]
    assert (rounds[-1].scores["nodules"] or 0) > 0.6  # pairs carry noise


def test_it_trains_under_privacy(result: consilium.Result) -> None:
    (private,) = result.record.privacy
    assert private.epsilon == 8
    assert set(private.tasks["nodules"]) == {"d2", "deviance"}


def test_arms_that_do_not_fit_are_left_out_with_a_note(result: consilium.Result) -> None:
    assert any("nodules: of the classical" in note for note in result.record.notes)


def test_tables_and_report_show_it(result: consilium.Result, tmp_path: Path) -> None:
    outcome = result.record.outcomes["nodules"]
    assert (outcome.kind, outcome.metric, outcome.unit, outcome.names) == ("count", "d2", "nodules", ())
    assert ("nodules", "federated", "deviance") in result.table().index
    assert {"arms", "hospitals", "learning"} <= set(result.figures())
    assert result._evidence is not None
    page = render(result.record, result._evidence)
    assert metrics()["deviance"].title in page
    assert "calibration" not in page.lower()
    result.to_json(tmp_path / "result.json")
    assert SimulationResult.read(tmp_path / "result.json") == result.record


def test_its_row_in_the_passport_counts_labelled_patients(federation: tuple[Path, Federation]) -> None:
    folder, agreed = federation
    site_file = min(folder.glob("*/site.toml"))
    cohort = read_cohort(site_file.parent, agreed)
    row = passport(cohort, agreed)["tasks"]
    labelled = int(cohort.batch.labelled["nodules"].sum())
    above = int((cohort.batch.labels["nodules"] > 0).sum())
    assert row == {"nodules": {"labelled": labelled, "above 0": above}}
