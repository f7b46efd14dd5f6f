import json
from pathlib import Path

import pytest
import torch

from client.training.device import DeviceError
from simulations.benchmarks.training_step import bench as train
from simulations.benchmarks.training_step.bench import ALLOCATORS, TrainFigures, run_train
from simulations.benchmarks.training_step.floor import Rates
from simulations.benchmarks.training_step.networks import LAUNCHED, ON_CPU, OPPONENT, OURS
from simulations.benchmarks.training_step.table import train_table

MEASURE = train.measure


@pytest.mark.slow
def test_every_network_is_measured_in_a_process_of_its_own_under_both_allocators(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(train, "rates", lambda: Rates(1e11, 2e10))
    monkeypatch.setattr(train, "default_data", lambda: None)
    monkeypatch.setattr(train, "measure", lambda names, *rest: MEASURE(("synthetic",), *rest))
    costs = run_train(None, 8, 0.01, "cpu", tmp_path / "out" / "train.json")
    assert TrainFigures.model_validate(json.loads((tmp_path / "out" / "train.json").read_text())) == costs
    measured = {(cost.allocator, cost.network) for cost in costs.costs}
    assert measured == {(allocator, network) for allocator in ALLOCATORS for network in (OURS, OPPONENT)}
    for cost in costs.costs:
        assert cost.steps >= train.LEAST
        assert cost.quartiles[0] <= cost.milliseconds <= cost.quartiles[1]
        assert cost.patients_per_second == pytest.approx(8000 / cost.milliseconds)
        assert cost.megabytes >= 0
    assert sum(costs.profiles["synthetic"].values()) == pytest.approx(1)
    printed = train_table(costs)
    assert printed.count("(aim 8)") == printed.count("(aim 3)") == 1
    assert "| matrix products | " in printed
    assert f"torch {torch.__version__}" in printed
    assert f"{costs.date:%Y-%m-%d}" in printed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as refused:
        run_train(None, 8, 0.01, "cuda", tmp_path / "train.json")
    assert refused.value.where == "--device"
    assert not (tmp_path / "train.json").exists()


@pytest.mark.cuda
def test_on_a_gpu_all_networks_are_measured(gpu: torch.device) -> None:
    costs = train.measure(("synthetic",), None, 8, 0.01, str(gpu))
    assert {cost.network for cost in costs.costs} == {OURS, OPPONENT, LAUNCHED, ON_CPU}
    assert costs.device != "cpu"
    assert "(aim 10)" in train_table(costs)
