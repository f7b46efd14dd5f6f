"""Folders of a user's that are called like our packages, and programs that start beside them."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import consilium
from consilium.packages import PACKAGES, pin

HOSTILE = "raise SystemExit('a folder of the user was imported')"
WORKER = """
import consilium
from flwr.app import Context, Message, RecordDict
from simulations.engines.flower_internals import acting_as_coordinator, new_run
from simulations.engines.process_pool import ProcessPool

if __name__ == "__main__":
    run = new_run({})
    site = Context(run.run_id, 1, {}, RecordDict(), {})
    with acting_as_coordinator(run), ProcessPool("client.app:app", {1: site}, 1) as pool:
        for reply in pool([Message(RecordDict(), 1, "query.statistics")]):
            print("answered")
"""
IMPORTS = "import client.site_folder.outside, common.errors, server.home.nginx, common.extras"


@pytest.fixture(params=["package", "namespace", "module"])
def hostile(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with four others, or files, of our packages' names."""
    for name in PACKAGES:
        if request.param == "module":
            (tmp_path / f"{name}.py").write_text(HOSTILE)
            continue
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(HOSTILE)
        if request.param == "package":
            (tmp_path / name / "__init__.py").write_text(HOSTILE)
    return tmp_path


def ran(hostile: Path, *arguments: str, on_path: bool = False) -> "subprocess.CompletedProcess[str]":
    """A Python started in the hostile folder, or elsewhere with that folder first on PYTHONPATH."""
    root = str(Path(consilium.__file__).parents[1])
    path = [str(hostile), root] if on_path else [root]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd="/" if on_path else hostile,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("on_path", [False, True])
def test_our_packages_are_imported_beside_a_users_folders(hostile: Path, on_path: bool) -> None:
    ended = ran(hostile, "-c", f"import consilium; {IMPORTS}; print(client.__file__)", on_path=on_path)
    assert ended.returncode == 0, ended.stderr
    assert Path(ended.stdout.strip()).parents[1] == Path(consilium.__file__).parents[1]


@pytest.mark.parametrize("on_path", [False, True])
def test_the_command_runs_beside_a_users_folders(hostile: Path, on_path: bool) -> None:
    for words in (["--help"], ["cohort", "describe", "--help"], ["site", "ledger", "--help"]):
        assert ran(hostile, "-m", "consilium", *words, on_path=on_path).returncode == 0


def test_a_module_is_started_as_a_program_beside_a_users_folders(hostile: Path) -> None:
    program = ("-P", "-m", "consilium.program", "common.processes.superexec", "--help")
    ended = ran(hostile, *program, on_path=True)
    assert ended.returncode == 0, ended.stderr
    assert "--runtime-api-address" in ended.stdout


@pytest.mark.parametrize(
    ("hostile", "on_path"),
    [
        ("package", False),
        ("module", True),
        pytest.param("package", True, marks=pytest.mark.slow),
        pytest.param("module", False, marks=pytest.mark.slow),
    ],
    indirect=["hostile"],
)
def test_a_worker_process_imports_our_packages_beside_a_users_folders(hostile: Path, on_path: bool) -> None:
    experiment = hostile / "experiment.py"
    experiment.write_text(WORKER)
    ended = ran(hostile, str(experiment), on_path=on_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "answered\n"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_foreign_module_that_is_imported_already_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text("")
    ended = ran(tmp_path, "-c", f"import {name}, consilium")
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert str(tmp_path / f"{name}.py") in last


def test_a_foreign_module_without_a_file_is_refused_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "common", ModuleType("common"))
    with pytest.raises(ImportError, match="common"):
        pin()
