"""Simulations called from Python."""

import inspect
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

import consilium
from common.agreement.federation import FILE_NAME
from common.errors import InputError


def test_files_are_those_of_the_command_line(finished: tuple[consilium.Result, Path]) -> None:
    result, out = finished
    names = {path.name for path in out.iterdir()}
    assert {"result.json", "report.html", "weights.safetensors", FILE_NAME} <= names
    assert consilium.Result.read(out).record == result.record
    command = result.record.command or ""
    assert command.startswith("consilium simulate ")
    assert command.endswith(f"--folds 2 --seed 3 --federated-only --out {out}")


@pytest.mark.usefixtures("few_draws")
def test_a_call_is_quiet_and_leaves_threads_and_environment_as_they_were(
    written_cohort: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLWR_HOME", "mine")
    monkeypatch.delenv("FLWR_LOG_LEVEL", raising=False)
    before, threads = dict(os.environ), torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        first, second = (
            consilium.simulate(written_cohort, fold=0, rounds=1, federated_only=True) for _ in range(2)
        )
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    assert dict(os.environ) == before
    assert capfd.readouterr() == ("", "")
    assert first.table().equals(second.table())


def test_variables_that_an_import_sets_are_documented() -> None:
    code = "import os, consilium; old = {*os.environ}; from consilium import *; print(*({*os.environ} - old))"
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("GRPC_", "KMP_"))}
    root = Path(consilium.__file__).parents[1]
    outside["PYTHONPATH"] = str(root)
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=outside
    )
    page = (root / "docs" / "python.md").read_text()
    assert not [name for name in ended.stdout.split() if f"`{name}`" not in page]


@pytest.mark.usefixtures("few_draws")
def test_progress_is_shown_where_it_is_asked_for(
    written_cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consilium.simulate(written_cohort, fold=0, rounds=1, federated_only=True, progress=True)
    assert "round 1/1" in capsys.readouterr().out


def test_the_signature_shows_every_option() -> None:
    parameters = inspect.signature(consilium.simulate).parameters
    assert list(parameters) == ["cohort", *(field.name for field in fields(consilium.Options))]
    documentation = consilium.simulate.__doc__ or ""
    assert not [name for name in parameters if f"{name}: " not in documentation]


@pytest.mark.parametrize("name", ["simulate", "resume", "cohort", "plan_privacy", "audit"])
def test_the_documentation_names_keywords_and_no_option_of_a_command(name: str) -> None:
    assert not re.findall(r"(?<!\w)--\w+|KEY=VALUE|repeat it", getattr(consilium, name).__doc__)


def test_what_a_command_alone_may_say_is_no_keyword(written_cohort: Path) -> None:
    for hidden in ("command", "resume"):
        assert hidden not in inspect.signature(consilium.simulate).parameters
        options: dict[str, Any] = {hidden: "x"}
        with pytest.raises(TypeError):
            consilium.simulate(written_cohort, **options)


@pytest.mark.parametrize(
    ("wrong", "close"), [("epsilon", "epsilons"), ("Rounds", "rounds"), ("qqq", "engine")]
)
def test_an_unknown_keyword_is_refused_in_the_functions_name(wrong: str, close: str) -> None:
    options: dict[str, Any] = {wrong: 1}
    with pytest.raises(TypeError, match=rf"^simulate\(\).*{wrong}.*{close}"):
        consilium.simulate("synthetic", **options)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"rounds": 0}, "rounds=0"),
        ({"engine": "gpu"}, "engine=gpu"),
        ({"fold": 0, "folds": 1}, "fold and folds"),
        ({"fold": 99}, "fold=99"),
        ({"device": "gpu"}, "device=gpu"),
        ({"epsilons": 8}, "epsilons=[8]"),
        ({"epsilons": "8"}, "epsilons"),
        ({"epsilons": (-1.0,)}, "epsilons=[-1]"),
        ({"delta": 0.1}, "delta"),
        ({"settings": {"training.nope": 1}}, 'settings["training.nope"]'),
        ({"settings": ["training.rounds=5"]}, "settings"),
        ({"out": 5}, "out=5"),
        ({"ray_address": "x:1"}, "ray_address"),
    ],
)
def test_an_error_names_the_keyword(written_cohort: Path, wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as refused:
        consilium.simulate(written_cohort, **wrong)
    assert refused.value.where == where
    assert "--" not in str(refused.value)
    assert str(refused.value).startswith(f"{where}: ")


@pytest.mark.parametrize(
    "wrong",
    [
        {"rounds": 0},
        {"rounds": 1.5},
        {"fold": -1},
        {"fold": 0, "folds": 1},
        {"engine": "gpu"},
        {"ray_address": "x:1"},
        {"settings": {"training.nothing": 1}},
        {"epsilons": (-1.0,)},
    ],
)
def test_wrong_options_are_refused(written_cohort: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        consilium.simulate(written_cohort, **wrong)


def test_a_federation_that_cannot_be_trained_says_who_is_missing(written_cohort: Path) -> None:
    settings = {"statistics.minimum_count": 1000}
    with pytest.raises(consilium.RunFailed, match="hospital 1"):
        consilium.simulate(written_cohort, fold=0, settings=settings, federated_only=True)


def test_a_federation_file_is_read_from_its_folder_too(written_cohort: Path) -> None:
    federation = consilium.load_federation(written_cohort)
    assert federation == consilium.load_federation(str(written_cohort / FILE_NAME))
    with pytest.raises(InputError):
        consilium.load_federation(written_cohort / "none.toml")


def test_without_other_arms_the_null_model_is_still_there(finished: tuple[consilium.Result, Path]) -> None:
    arms = finished[0].record.tasks["survival"]
    assert {"federated", "null"} <= set(arms) <= {"federated", "federated_linear", "null"}
    assert arms["null"]["integrated_brier"].mean is not None
    assert set(finished[0].record.spread) <= set(finished[0].record.tasks)


def test_a_column_that_is_not_there_divides_nobody(written_cohort: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=re.escape("subgroups")):
        consilium.simulate(written_cohort, fold=0, rounds=1, subgroups=["no_column"], out=out)
    assert not out.exists()
    with pytest.raises(InputError, match="sequence"):
        consilium.simulate(written_cohort, subgroups="stage")
    asked = consilium.simulate(
        written_cohort, fold=0, rounds=1, subgroups=("stage",), federated_only=True, progress=False
    )
    assert "--subgroups stage" in str(asked.record.command)
    assert "stage" in asked.record.divisions["survival"]
