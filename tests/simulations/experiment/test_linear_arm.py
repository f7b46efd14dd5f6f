from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import consilium
from common.agreement.federation import FILE_NAME, load
from common.models.registry import build_model
from server.records.result import load_result
from simulations.experiment.linear_arm import initial_weights, linear_part
from simulations.results.schema import SimulationResult

SmallCohort = Callable[..., Path]


@pytest.mark.usefixtures("networks_only", "no_report")
def test_the_linear_arm_is_the_run_that_ends_with_its_linear_rounds(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    def run(name: str, rounds: str) -> SimulationResult:
        cohort = small_cohort(name, training__rounds=rounds, training__linear_rounds="3")
        out = tmp_path / f"{name}-out"
        return consilium.simulate(cohort, fold=0, federated_only=True, seed=5, out=out).record

    longer, shorter = run("longer", "5"), run("shorter", "3")
    for task, arms in longer.tasks.items():
        assert arms["federated_linear"] == shorter.tasks[task]["federated"]
        assert arms["federated_linear"] == shorter.tasks[task]["federated_linear"]

    federation = load(tmp_path / "longer-out" / FILE_NAME)
    model = build_model(federation, tmp_path / "longer-out", federation.training.seed)
    trained, ended = load_result(tmp_path / "longer-out"), load_result(tmp_path / "shorter-out")
    part = linear_part(trained, initial_weights(model), model)
    assert part.weights.keys() == ended.weights.keys()
    for name, weights in part.weights.items():
        np.testing.assert_array_equal(weights, ended.weights[name], name)


@pytest.mark.usefixtures("networks_only", "no_report")
@pytest.mark.parametrize("settings", [{"training.linear_rounds": 0}, {"wire.update": "int8"}])
def test_without_linear_rounds_there_is_no_linear_arm(
    small_cohort: SmallCohort, settings: dict[str, str | int]
) -> None:
    result = consilium.simulate(
        small_cohort(tasks=["response"]), fold=0, rounds=1, federated_only=True, settings=settings
    )
    assert set(result.record.tasks["response"]) == {"federated"}
