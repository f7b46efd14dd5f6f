from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended

from simulations.results.robustness import Robustness

Consilium = Callable[..., Ended]
SmallCohort = Callable[..., Path]


@pytest.fixture(autouse=True)
def _few_conditions_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.benchmarks.field.cohort_runs.available_cores", lambda: 1)
    monkeypatch.setattr("simulations.benchmarks.field.perturbations.NOISE", (2.0,))
    monkeypatch.setattr("simulations.benchmarks.field.perturbations.MISSING", (0.5,))
    monkeypatch.setattr("simulations.benchmarks.field.robustness.LABEL_NOISE", (0.2,))
    monkeypatch.setattr("simulations.benchmarks.field.robustness.LABELS_KEPT", (0.01,))
    monkeypatch.setattr("simulations.benchmarks.field.robustness.ALPHAS", (0.3,))
    monkeypatch.setattr("simulations.baselines.registry.applicable", lambda task: ("logistic", "mlp"))
    monkeypatch.setattr("simulations.baselines.classes.STRENGTHS", (0.01, 1.0))


def test_every_model_is_scored_under_every_perturbation(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, out = (
        small_cohort(tasks=["response"], minimum_patients="5", training__linear_rounds="1"),
        tmp_path / "out",
    )
    asked = ("bench", "robustness", "--cohorts", cohort, "--folds", 1, "--out", out)
    ended = consilium(*asked)
    assert ended.exit_code == 0, ended.output
    figures = Robustness.beside(out)
    assert figures is not None
    told = figures.cohorts["cohort"]
    kinds = [condition.kind for condition in told.conditions]
    assert kinds[:3] == ["none", "feature noise", "missing values"]
    assert {"missing modality", "label noise", "label skew", "unseen hospital"} <= set(kinds)
    page = (out / "robustness.html").read_text()
    assert page.count('role="img"') == len(told.by_kind())
    for condition in told.conditions:
        assert condition.kind in ended.stdout
        assert {"federated", "federated_linear"} <= set(condition.scores["response"])
        assert set(condition.scores["response"]) <= {"federated", "federated_linear", "logistic"}
    none, noise = (condition.scores["response"]["federated"] for condition in told.conditions[:2])
    assert none != noise

    monkeypatch.setattr("simulations.experiment.arms._attempt", lambda job: pytest.fail("trained twice"))
    if not told.left_out:
        again = consilium(*asked)
        assert again.stdout.splitlines()[:-1] == ended.stdout.splitlines()[:-1]
