import sys
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from common.errors import InvalidContentError, OptionError
from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.evaluation.survival import c_index, survival_labels
from common.patients.batch import PatientBatch
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.tasks.toxicity import ToxicityTask
from simulations.baselines.registry import ARMS, applicable, fit_predict
from simulations.baselines.tabular import design, reduced_design
from simulations.report.outcomes.calibration import kaplan_meier
from simulations.results.schema import Arm

SURVIVAL = SurvivalTask(name="os", time="months", event="died", unit="months", longest=300, bins=6)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes", "unheard_of"))
TOXICITY = ToxicityTask(name="ae", labels=("rash", "fever"))
CUTS = torch.tensor([3.0, 6.0, 10.0, 16.0, 26.0, 40.0])
GENES = 60


def cohort(patients: int, seed: int) -> PatientBatch:
    """Outcomes that follow the first clinical column and a latent factor behind the genes.

    A fifth has no genes, one gene is constant, one is another's copy; some labels are unknown.
    """
    generator = torch.Generator().manual_seed(seed)
    clinical = torch.randn(patients, 3, generator=generator)
    factor = torch.randn(patients, 1, generator=generator)
    loading = torch.randn(1, GENES, generator=torch.Generator().manual_seed(99))
    genes = factor * loading + torch.randn(patients, GENES, generator=generator)
    genes[:, 1], genes[:, 2] = 0.0, genes[:, 3]
    has_genes = torch.rand(patients, 1, generator=generator) < 0.8
    signal = clinical[:, 0] + factor[:, 0]
    death = torch.empty(patients).exponential_(generator=generator) * 15 * (-signal).exp()
    leave = torch.empty(patients).exponential_(generator=generator) * 30
    noise = torch.randn(patients, 2, generator=generator)
    labels = {
        "os": torch.stack([torch.minimum(death, leave), (death <= leave).float()], dim=1),
        "response": (signal + noise[:, 0] > 0).float()[:, None],
        "ae": (signal[:, None] * torch.tensor([1.0, -1.0]) + noise > 0.5).float(),
    }
    known = torch.rand(patients, 2, generator=generator) < 0.9
    labelled = {"os": known[:, :1].expand(-1, 2), "response": known[:, :1], "ae": known}
    return PatientBatch(
        {"clinical": clinical, "rna": genes * has_genes},
        {"clinical": torch.ones_like(clinical, dtype=torch.bool), "rna": has_genes.expand(-1, GENES)},
        {name: values * labelled[name] for name, values in labels.items()},
        labelled,
    )


TRAIN, TEST = cohort(300, 0), cohort(200, 1)
CASES = [(arm, task) for task in (SURVIVAL, RESPONSE, TOXICITY) for arm in applicable(task)]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small only lose time to threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@cache
def fitted(arm: Arm, name: str) -> Prediction:
    task = next(task for task in (SURVIVAL, RESPONSE, TOXICITY) if task.name == name)
    return fit_predict(arm, task, TRAIN, TEST, CUTS, seed=0)


def scores(task: Task, prediction: Prediction) -> dict[str, float]:
    sides = ((batch.labels[task.name].numpy(), batch.labelled[task.name].numpy()) for batch in (TEST, TRAIN))
    (labels, labelled), train = sides
    return task.scores(prediction, labels, labelled, *train)


@pytest.mark.parametrize(
    ("arm", "task"), CASES, ids=lambda case: case if isinstance(case, str) else case.name
)
def test_an_arm_finds_the_signal(arm: Arm, task: Task) -> None:
    prediction = fitted(arm, task.name)
    if isinstance(prediction, SurvivalPrediction):
        assert prediction.survival.shape == (len(TEST), len(prediction.times))
        assert np.all(np.diff(prediction.times) > 0)
        assert np.all(np.diff(prediction.survival, axis=1) <= 1e-9)
        assert 0 <= prediction.survival.min() <= prediction.survival.max() <= 1
        found = scores(task, prediction)
        assert found["c_index"] > 0.68
        assert found["integrated_brier"] < 0.2
    else:
        assert isinstance(prediction, ClassPrediction | LabelPrediction)
        assert prediction.probability.shape == (len(TEST), task.outputs)
        assert scores(task, prediction)["auroc"] > 0.75
    if isinstance(prediction, ClassPrediction):
        assert prediction.probability.sum(axis=1) == pytest.approx(np.ones(len(TEST)), abs=1e-5)


@pytest.mark.parametrize(
    ("arm", "task"), CASES, ids=lambda case: case if isinstance(case, str) else case.name
)
def test_an_arm_repeats_itself_and_learns_nothing_from_what_is_not_labelled(arm: Arm, task: Task) -> None:
    labels = TRAIN.labels | {task.name: torch.where(TRAIN.labelled[task.name], TRAIN.labels[task.name], 1.0)}
    spoilt = PatientBatch(TRAIN.values, TRAIN.observed, labels, TRAIN.labelled)
    first, second = fitted(arm, task.name), fit_predict(arm, task, spoilt, TEST, CUTS, seed=0)
    for name in ("risk", "probability"):
        if hasattr(first, name):
            assert np.array_equal(getattr(first, name), getattr(second, name))


def test_survival_at_its_own_event_rate_is_believable() -> None:
    """Mean predicted survival follows Kaplan-Meier of the same patients, for each arm."""
    known = TRAIN.select(TRAIN.labelled["os"][:, 0])
    times, survival = kaplan_meier(*survival_labels(known.labels["os"], known.labelled["os"]))
    for arm in applicable(SURVIVAL):
        prediction = fit_predict(arm, SURVIVAL, TRAIN, known, CUTS, seed=0)
        assert isinstance(prediction, SurvivalPrediction)
        observed = np.interp([5, 10, 20], times, survival)
        assert prediction.at([5, 10, 20]).mean(axis=0) == pytest.approx(observed, abs=0.06), arm


def test_cox_recovers_a_known_coefficient_order() -> None:
    prediction = fitted("cox", "os")
    assert isinstance(prediction, SurvivalPrediction)
    assert np.corrcoef(prediction.risk, TEST.values["clinical"][:, 0])[0, 1] > 0.5


def test_cox_stands_more_columns_than_patients() -> None:
    few = TRAIN.select(torch.arange(40))
    prediction = fit_predict("cox", SURVIVAL, few, TEST, None, seed=0)
    assert isinstance(prediction, SurvivalPrediction)
    time, event = survival_labels(TEST.labels["os"], TEST.labelled["os"])
    assert c_index(time, event, prediction.risk[TEST.labelled["os"][:, 0].numpy()]) > 0.55


def test_an_event_nobody_had_is_given_probability_zero() -> None:
    labels = TRAIN.labels | {"ae": TRAIN.labels["ae"] * torch.tensor([1.0, 0.0])}
    quiet = PatientBatch(TRAIN.values, TRAIN.observed, labels, TRAIN.labelled)
    for arm in ("logistic", "forest"):
        prediction = fit_predict(arm, TOXICITY, quiet, TEST, None, seed=0)
        assert isinstance(prediction, LabelPrediction)
        assert not prediction.probability[:, 1].any()


def test_a_cohort_without_events_is_refused() -> None:
    labels = TRAIN.labels | {"os": TRAIN.labels["os"] * torch.tensor([1.0, 0.0])}
    with pytest.raises(InvalidContentError) as refused:
        fit_predict(
            "cox", SURVIVAL, PatientBatch(TRAIN.values, TRAIN.observed, labels, TRAIN.labelled), TEST, None, 0
        )
    assert refused.value.where == "task os"
    with pytest.raises(OptionError) as wrong:
        fit_predict("cox", RESPONSE, TRAIN, TEST, None, 0)
    assert wrong.value.where == "baseline cox"
    assert all(arm in wrong.value.remedy for arm in applicable(RESPONSE))


def test_arms_are_those_of_the_tasks() -> None:
    assert {arm for arm, _ in CASES} <= set(ARMS)


def test_without_scikit_survival_there_is_no_survival_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksurv", None)
    assert applicable(SURVIVAL) == ("cox", "mlp")
    assert "forest" in applicable(RESPONSE)


def test_importing_the_baselines_does_not_import_scikit_survival(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sksurv", None)  # an import of it fails
    fit_predict("cox", SURVIVAL, TRAIN, TEST, None, seed=0)


def test_design_has_values_and_absence_without_constant_columns() -> None:
    tables = design(TRAIN, TEST)
    # 3 clinical, 59 varying genes, absence of genes (clinical is never absent)
    assert tables.train.shape == (300, 3 + GENES - 1 + 1)
    assert tables.test.shape == (200, 3 + GENES - 1 + 1)
    assert np.array_equal(tables.test[:, -1] == 1, ~TEST.present("rna").numpy())


def test_components_keep_what_they_say() -> None:
    tables = reduced_design(TRAIN, TEST, seed=0)
    absent = ~TRAIN.present("rna").numpy()
    components = tables.train[:, 3:-1]
    assert not components[absent].any()
    spread = components[~absent].std(axis=0, ddof=1)
    assert spread[0] == pytest.approx(1, abs=1e-6)
    assert np.all(np.diff(spread) <= 1e-9)
    assert np.array_equal(tables.train[:, :3], TRAIN.values["clinical"].double().numpy())


def test_test_patients_do_not_shape_the_training_columns() -> None:
    def shifted(values: Tensor) -> Tensor:
        return values * 3 + 1

    other = PatientBatch(
        {name: shifted(values) for name, values in TEST.values.items()},
        TEST.observed,
        TEST.labels,
        TEST.labelled,
    )
    assert np.array_equal(reduced_design(TRAIN, TEST, 0).train, reduced_design(TRAIN, other, 0).train)
