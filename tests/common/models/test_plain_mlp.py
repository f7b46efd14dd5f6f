"""A model from outside: named in the federation file, trained by simulate, with and without privacy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import InputError
from common.models.graphs import Prior
from common.models.parameter_groups import ParameterGroup
from common.models.registry import build_model, initial_model
from consilium.command import app
from tests.common.models.plain_mlp import PlainMLP, PlainMLPConfig, register

SmallCohort = Callable[..., Path]


@pytest.fixture(autouse=True)
def _registered() -> None:
    register()


def simulate(cohort: Path, out: Path, *options: str) -> dict[str, np.ndarray]:
    """Weights of `consilium simulate`, in this process."""
    arguments = ["simulate", str(cohort), "--fold", "0", "--federated-only", "--out", str(out)]
    ended = CliRunner().invoke(app, [*arguments, "--engine", "serial", *options])
    assert ended.exit_code == 0, ended.output
    return load_file(out / "weights.safetensors")


@pytest.mark.usefixtures("few_draws", "no_report")
@pytest.mark.parametrize(
    "options", [(), ("--epsilon", "8", "--set", "privacy.learn=all")], ids=["plain", "private"]
)
def test_simulate_trains_it(small_cohort: SmallCohort, tmp_path: Path, options: tuple[str, ...]) -> None:
    cohort = small_cohort(model__kind="plain-mlp", model__hidden="8", training__learn_task_weights="false")
    federation = load(cohort / FILE_NAME)
    assert federation.model == PlainMLPConfig(hidden=8)
    start = build_model(federation, cohort, seed=0)
    assert isinstance(start, PlainMLP)
    trained = simulate(cohort, tmp_path / "out", *options)
    before = {name: tensor.numpy() for name, tensor in start.state_dict().items()}
    assert {name: array.shape for name, array in trained.items()} == {n: a.shape for n, a in before.items()}
    assert all(np.isfinite(array).all() and (array != before[name]).any() for name, array in trained.items())
    assert load(tmp_path / "out" / FILE_NAME).model == federation.model


def test_it_is_averaged_whole(small_cohort: SmallCohort) -> None:
    cohort = small_cohort(model__kind="plain-mlp")
    groups = build_model(load(cohort / FILE_NAME), cohort, seed=0).groups()
    assert groups.groups == (ParameterGroup.SHARED,)
    assert set(groups.by_parameter.values()) == {ParameterGroup.SHARED}


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ({"training": {"contrastive_weight": 0.5}}, "training.contrastive_weight"),
        (
            {"privacy": {"noise_multiplier": 1.0, "sampling_rate": 0.5, "expected_batch_size": 4}},
            "privacy.learn",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(
    make_federation: Callable[..., Federation], prior: Prior, setting: dict[str, object], where: str
) -> None:
    federation = make_federation(model=PlainMLPConfig(), **setting)
    with pytest.raises(InputError) as refused:
        initial_model(federation, prior, seed=0)
    assert refused.value.where == where
