"""A bundle's code never runs at the coordinator, and the names of Flower that are replaced for it are still there."""

import importlib
import inspect
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flwr.cli.build import build_fab_from_disk

from common.agreement.bundle import write_bundle
from common.agreement.federation import FILE_NAME, Federation, save
from common.errors import InputError, IntegrityError
from common.messages.inflating import ROOM
from common.processes.task_launcher import TASK_COMMANDS
from server.home.places import HOME_VARIABLE, CoordinatorHome, create_home
from server.services.launcher import COMMAND, REPLACED, RUNTIME, replacements
from server.services.processes import SUPEREXEC, prepare

RUN = "20261121-101500"


@pytest.mark.parametrize("name", REPLACED)
def test_a_replaced_name_has_its_parameters(name: str) -> None:
    function = getattr(importlib.import_module(RUNTIME), name)
    assert tuple(inspect.signature(function).parameters) == REPLACED[name]


def test_the_replaced_names_are_looked_up_when_they_are_called_and_in_the_order_we_count_on() -> None:
    """The bundle is at hand before the configuration is, and both before anything runs."""
    function = importlib.import_module(RUNTIME).run_serverapp
    assert set(REPLACED) <= set(function.__code__.co_names)
    source = inspect.getsource(function)
    steps = ("install_from_fab(", "get_project_config(", "get_fused_config_from_dir(", "context = run_(")
    places = [source.index(step) for step in steps]
    assert places == sorted(places)
    assert all(source.count(step) == 1 for step in steps)


def test_flowers_own_command_does_the_work_of_that_module() -> None:
    command = importlib.import_module("flwr.superlink.cli.flwr_serverapp")
    assert command.run_serverapp is importlib.import_module(RUNTIME).run_serverapp


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "a $home; with spaces", "localhost", 9443, None)


@pytest.mark.usefixtures("nginx")
def test_the_superexec_finds_no_command_but_ours(home: CoordinatorHome) -> None:
    (superexec,) = (service for service in prepare(home) if service.name == SUPEREXEC)
    assert superexec.env["PATH"] == str(home.launcher)
    assert {path.name for path in home.launcher.iterdir()} == {*TASK_COMMANDS}
    for name in {*TASK_COMMANDS} - {COMMAND}:
        refused = subprocess.run([home.launcher / name, "--token", "t"], capture_output=True, check=False)
        assert (refused.returncode, refused.stderr) == (1, b"this coordinator runs no such task\n")
    ours = subprocess.run(
        [home.launcher / COMMAND, "--help"], capture_output=True, text=True, env=superexec.env, check=True
    )
    assert "Run a Flower ServerApp" in ours.stdout


@pytest.fixture
def bundle(
    home: CoordinatorHome,
    make_federation: Callable[..., Federation],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> bytes:
    """The bundle of a run, which is in the coordinator's folder."""
    federation = make_federation()
    (home.runs / RUN).mkdir()
    save(federation, home.runs / RUN / FILE_NAME)
    monkeypatch.setenv(HOME_VARIABLE, str(home.folder))
    write_bundle(tmp_path / "bundle", federation)
    content: bytes = build_fab_from_disk(tmp_path / "bundle")
    return content


def served(bundle: bytes, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Context that `server.app` sees for a bundle and a run's configuration."""
    seen: list[Any] = []
    monkeypatch.setattr("server.app.app", lambda grid, context: seen.append(context))
    ours = replacements()
    ours["install_from_fab"](bundle, skip_prompt=True)
    ours["get_project_config"]("nowhere")["tool"]["flwr"]["app"]["components"]["serverapp"]
    context = SimpleNamespace(run_config=ours["get_fused_config_from_dir"](Path("nowhere"), config))
    grid = SimpleNamespace(allowed=0)
    ours["run_"](grid=grid, server_app_dir="nowhere", server_app_attr="evil.server:app", context=context)
    assert grid.allowed > ROOM, "a reply may have the model's size"
    return seen


def test_the_bundle_of_a_run_starts_the_installed_app(bundle: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    (context,) = served(bundle, {"run": RUN, "report": "/etc"}, monkeypatch)
    assert context.run_config == {"run": RUN}


def test_no_other_bundle_starts_anything(bundle: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntegrityError) as other:
        served(bundle + b"\0", {"run": RUN}, monkeypatch)
    for config in ({}, {"run": "20261121-000000"}, {"run": "../runs"}):
        with pytest.raises(InputError) as refused:
            served(bundle, config, monkeypatch)
        assert "`consilium coordinator run`" in refused.value.remedy
    with pytest.raises(IntegrityError) as nothing:
        replacements()["get_fused_config_from_dir"](Path("nowhere"), {"run": RUN})
    assert all(RUN in error.value.what for error in (other, nothing))
