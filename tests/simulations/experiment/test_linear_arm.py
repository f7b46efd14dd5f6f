from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import consilium
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.models.registry import build_model
from server.records.result import load_result
from simulations.experiment.linear_arm import initial_weights, linear_part, with_linear_rounds
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
    assert set(result.record.tasks["response"]) == {"federated", "null"}


@pytest.mark.parametrize(("rounds", "linear"), [("1", 0), ("3", 1), ("30", 15), ("200", 20)])
def test_where_a_file_says_no_number_half_of_the_rounds_are_linear(
    federation: Federation, rounds: str, linear: int
) -> None:
    silent = federation.changed({"training.rounds": rounds})
    assert silent.linear_rounds == 0  # in a deployment
    assert with_linear_rounds(silent).training.linear_rounds == linear


@pytest.mark.parametrize("settings", [{"training.linear_rounds": "0"}, {"wire.update": "int8"}])
def test_what_a_file_says_stays(federation: Federation, settings: dict[str, str]) -> None:
    stated = federation.changed({"training.rounds": "30", **settings})
    assert with_linear_rounds(stated) is stated


def test_no_linear_rounds_are_written_as_such(federation: Federation, tmp_path: Path) -> None:
    stated = federation.changed({"training.linear_rounds": "0"})
    save(stated, tmp_path / FILE_NAME)
    assert load(tmp_path / FILE_NAME).training.linear_rounds == 0
    assert stated.digest != federation.digest
