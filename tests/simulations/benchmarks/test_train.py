import json
import os
from pathlib import Path

import pytest
import torch

from client.running import ALLOCATOR
from simulations.benchmarks import train
from simulations.benchmarks.floor import Rates
from simulations.benchmarks.reference import of_cohort
from simulations.benchmarks.train import (
    ALLOCATORS,
    GRAPHS,
    NETWORKS,
    OPPONENT,
    OURS,
    Costs,
    run_train,
    table,
    without,
    workload,
)


def test_every_network_is_measured_in_a_process_of_its_own_under_both_allocators(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(train, "rates", lambda: Rates(1e11, 2e10))
    monkeypatch.setattr(train, "default_data", lambda: None)
    monkeypatch.setattr(train, "measure", lambda names, *rest: MEASURE(("synthetic",), *rest))
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    costs = run_train(None, 8, 0.01, tmp_path / "out" / "train.json")
    assert os.environ["MALLOC_TRIM_THRESHOLD_"] == "1"
    assert Costs.model_validate(json.loads((tmp_path / "out" / "train.json").read_text())) == costs
    measured = {(cost.allocator, cost.network) for cost in costs.costs}
    assert measured >= {(allocator, network) for allocator in ALLOCATORS for network in (OURS, OPPONENT)}
    for cost in costs.costs:
        assert cost.steps >= train.LEAST
        assert cost.quartiles[0] <= cost.milliseconds <= cost.quartiles[1]
        assert cost.patients_per_second == pytest.approx(8000 / cost.milliseconds)
        assert cost.megabytes >= 0
    printed = table(costs)
    assert printed.count("\n| ") == 1 + len(costs.costs)
    assert "(aim 8)" in printed
    assert f"torch {torch.__version__}" in printed
    assert f"{costs.date:%Y-%m-%d}" in printed


MEASURE = train.measure


def test_processes_start_with_the_allocator_that_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    with train._environment(train.THREADS):
        assert not ALLOCATOR.keys() & os.environ.keys()
        assert os.environ["OMP_NUM_THREADS"] == "1"
    with train._environment(ALLOCATOR):
        assert os.environ["MALLOC_MMAP_MAX_"] == ALLOCATOR["MALLOC_MMAP_MAX_"]
    assert os.environ["MALLOC_MMAP_MAX_"] == "7"


@pytest.mark.parametrize("network", NETWORKS)
def test_a_step_of_every_network_lowers_the_loss(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    losses: list[float] = []

    def watched(model: torch.nn.Module, patients: int, loss: train.Loss) -> train.Step:
        def noted() -> torch.Tensor:
            value = loss()
            losses.append(float(value.detach().mean()))
            return value

        return STEP(model, patients, noted)

    monkeypatch.setattr(train, "_step", watched)
    step = NETWORKS[network](of_cohort("synthetic", None, 8))
    for _ in range(8):
        step()
    assert losses[-1] < losses[0]


STEP = train._step


def test_without_a_modality_the_others_and_the_patients_are_the_same() -> None:
    whole = of_cohort("synthetic", None, 6)
    name = whole.federation.modalities[-1].name
    left = without(whole, name)
    assert set(left.batch.values) == set(whole.batch.values) - {name} == set(left.model().branches)
    assert len(left.batch) == 6
    assert left.batch.labels is whole.batch.labels


def test_the_reference_without_imaging_is_what_is_called_so() -> None:
    assert set(workload(GRAPHS, None, 4).batch.values) == {"clinical", "rna", "protein"}


def test_a_peak_is_seen_that_is_gone_when_the_step_ends() -> None:
    def step() -> None:
        torch.ones(64 << 18)

    assert 60 < train._peak(step) < 120
