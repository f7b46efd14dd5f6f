"""A static step is the same operations for whatever patients, and asks for no number."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from client.training.adamw import StaticAdamW
from client.training.device import Device
from client.training.replay.step import cohort_rows, minibatch_rows, rows_for
from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.patients.batch import PatientBatch
from tests.client.training.replay_bench import ReplayBench

MakeBatch = Callable[..., PatientBatch]
DROPPING = {"gat_layers": 1, "dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}


@pytest.fixture
def bench(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> ReplayBench:
    return ReplayBench(make_federation, prior, cuts)


class Operations(TorchDispatchMode):
    """Notes every operation and the shapes that it is given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shapes = tuple(tuple(value.shape) for value in args if isinstance(value, Tensor))
        self.seen.append((str(operation), shapes))
        return operation(*args, **(kwargs or {}))


def test_operations_and_shapes_follow_from_no_patient(bench: ReplayBench, make_batch: MakeBatch) -> None:
    federation = bench.federation(DROPPING, contrastive_weight=0.5)
    round_, seen = bench.round(federation), []
    batches = [make_batch(20), make_batch(7, seed=1), make_batch(5, seed=2)]
    for name in ("rna", "imaging"):
        batches[1].observed[name][:] = False
    for batch in batches:
        model = bench.model(federation, torch.float32)
        step = bench.step(model, batches[0], round_, 16)
        step.begin(model, 0.01, round_)
        table = minibatch_rows([torch.arange(min(16, len(batch)))], 16, len(batch))
        step.take(cohort_rows(step.form, batch, round_.device), table[0])
        step.run()
        with Operations() as operations:
            step.run()
        seen.append(operations.seen)
    assert len(seen[0]) > 300
    assert seen[0] == seen[1] == seen[2]
    assert not [name for name, _ in seen[0] if "nonzero" in name or "_local_scalar" in name]


def test_a_step_asks_the_device_for_no_number(
    bench: ReplayBench, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        StaticAdamW, "step", lambda self, idle: None
    )  # torch has no such step for that device
    nowhere = Device(torch.device("meta"))  # torch's device without numbers
    federation = bench.federation(
        DROPPING, contrastive_weight=0.5, learn_task_weights=True, strategy="fedprox", proximal_mu=1.0
    )
    model, round_ = bench.model(federation, torch.float32).to("meta"), bench.round(federation, nowhere)
    batch = make_batch(20)
    step = bench.step(model, batch, round_, 16)
    step.begin(model, 0.01, round_)
    table = minibatch_rows([torch.arange(16)], 16, 20).to("meta")
    step.take(cohort_rows(step.form, batch, nowhere), table[0])
    step.run()
    step.finish(model)
    assert step.total.device.type == "meta"
    with pytest.raises(RuntimeError):
        float(step.total)


def test_nobody_fills_up_the_rows() -> None:
    table = minibatch_rows([torch.tensor([4, 0, 2]), torch.tensor([1, 3])], 4, 5)
    assert table.tolist() == [[4, 0, 2, 5], [1, 3, 5, 5]]


@pytest.mark.parametrize(("units", "rows"), [(1, 1), (2, 2), (3, 4), (16, 16), (17, 32), (33, 40), (40, 40)])
def test_few_sizes_of_a_step_serve_all_hospitals(units: int, rows: int) -> None:
    assert rows_for(units, 40) == rows
