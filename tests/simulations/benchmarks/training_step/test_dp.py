import json
from contextlib import ExitStack
from pathlib import Path

import pytest
import torch

from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from simulations.benchmarks.measuring.reference import Workload, of_cohort
from simulations.benchmarks.training_step import dp
from simulations.benchmarks.training_step.dp import PLAIN, STEPS, DpFigures, Loss, dp_table, run_dp

pytestmark = pytest.mark.filterwarnings(
    "ignore:Full backward hook is firing:UserWarning", "ignore:grad and param do not obey:UserWarning"
)


def test_every_kind_of_step_is_timed_and_weighed_against_the_plain_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dp, "reference", lambda patients: of_cohort("synthetic", None, patients))
    monkeypatch.setattr(dp, "_in_new_process", lambda name, data, patients, step: 10.0 + len(step))
    monkeypatch.setattr(dp, "default_data", lambda: None)
    costs = run_dp(None, 8, 0.01, tmp_path / "out" / "dp.json")
    assert DpFigures.model_validate(json.loads((tmp_path / "out" / "dp.json").read_text())) == costs
    assert [cost.step for cost in costs.costs] == [*STEPS, *STEPS]
    for cost in costs.costs:
        assert cost.milliseconds > 0
        assert cost.memory_ratio == (10 + len(cost.step)) / (10 + len(PLAIN))
        assert (cost.time_ratio == 1) == (cost.step == PLAIN)
    printed = dp_table(costs)
    assert printed.count("\n| ") == 1 + 2 * len(STEPS)
    assert f"torch {torch.__version__}" in printed
    assert f"{costs.date:%Y-%m-%d}" in printed


def test_memory_is_that_of_a_step_alone() -> None:
    plain, hooks = (
        dp._in_new_process("synthetic", None, 64, kind) for kind in (PLAIN, "private by Opacus' hooks")
    )
    assert 1 < plain < hooks < 2000


def test_every_kind_of_step_moves_the_weights_of_its_own_model() -> None:
    work = of_cohort("synthetic", None, 6)
    for kind, prepare in STEPS.items():
        model = work.model()
        with ExitStack() as stack:
            step = prepare(model, work, _loss(model, work), stack)
            start = {name: own.clone() for name, own in model.state_dict().items()}
            step()
        moved = {name for name, own in model.state_dict().items() if not torch.equal(own, start[name])}
        scores = {name for name in start if ".scores." in name}
        assert scores <= moved, kind
        assert len(moved) > len(scores)
        assert (len(moved) < len(start) / 2) == (kind == "private, learn = linear"), kind


def _loss(model: FederatedModel, work: Workload) -> Loss:
    return lambda batch: patient_loss(model, batch, work.federation, work.cuts)
