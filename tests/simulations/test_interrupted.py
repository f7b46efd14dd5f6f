"""Ctrl-C in a running `consilium simulate`, and `--resume`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended

from server.records.result import WEIGHTS

SmallCohort = Callable[..., Path]
Consilium = Callable[..., Ended]


@pytest.mark.parametrize(
    ("engine", "number", "code"),
    [("serial", signal.SIGINT, 130), ("processes", signal.SIGINT, 130), ("processes", signal.SIGTERM, 143)],
)
def test_a_simulation_that_is_interrupted_says_how_to_go_on_and_does(
    consilium: Consilium,
    small_cohort: SmallCohort,
    tmp_path: Path,
    engine: str,
    number: signal.Signals,
    code: int,
) -> None:
    temporary = tmp_path / f"temporary-{'x' * 80}"  # longer than a socket's name may be
    temporary.mkdir()
    cohort, out = small_cohort(tasks=["survival"], training__rounds="300"), tmp_path / "out"
    command = [sys.executable, "-m", "consilium", "simulate", str(cohort), "--fold", "0", "--federated-only"]
    command += ["--engine", engine, "--set", "training.patience=300"]
    with subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "round 1/300" in line:
                break
        os.killpg(process.pid, number)  # as a terminal does, to workers too
        process.stdout.read()
        told = process.stderr.read()
    assert process.returncode == code
    assert told.startswith("consilium: ")
    assert not list(temporary.iterdir())
    assert f"consilium simulate --resume {out}" in told
    assert len(told.splitlines()) == 1
    assert [path.name for path in out.iterdir()] == ["checkpoint"]
    state = json.loads((out / "checkpoint" / "federated" / "fold0" / "state" / "state.json").read_text())
    assert 1 <= state["number"] < 300
    refused = consilium("simulate", cohort, "--out", out)
    assert refused.exit_code == 2
    assert not (out / WEIGHTS).exists()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_pipe_that_is_closed_loses_no_result(
    small_cohort: SmallCohort, tmp_path: Path, encoding: str
) -> None:
    cohort, out = small_cohort(tasks=["survival"], training__rounds="2"), tmp_path / "out"
    command = [sys.executable, "-m", "consilium", "simulate", str(cohort), "--fold", "0", "--federated-only"]
    with subprocess.Popen(
        [*command, "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONIOENCODING": encoding},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
    assert (process.returncode, told) == (0, b"")
    assert (out / "result.json").is_file()
    assert (out / "report.html").is_file()


@pytest.mark.usefixtures("no_report")
def test_the_command_goes_on_and_takes_no_other_settings(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort, out = small_cohort(tasks=["survival"], training__rounds="1"), tmp_path / "out"
    first = consilium("simulate", cohort, "--fold", 0, "--federated-only", "--out", out)
    assert first.exit_code == 0, first.output
    for wrong in (("--seed", 4), ("--set", "training.patience=3"), ("--out", tmp_path), ("--fold", 0)):
        assert consilium("simulate", "--resume", out, *wrong).exit_code == 2
    assert consilium("simulate", cohort, "--resume", out).exit_code == 2
    more = consilium("simulate", "--resume", out, "--rounds", 2, "--engine", "serial")
    assert more.exit_code == 0, more.output
    assert json.loads((out / "result.json").read_text())["folds"][0]["rounds"] == 2
