"""A proof of concept as it runs: one command, all processes, and nothing of them afterwards."""

import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from client.site_folder.places import Home
from common.processes.supervision_state import read_state
from server.home.places import open_home
from server.records.journal import RunRecord, read_journal
from tests.system.processes import CONSILIUM, DEADLINE_S, PATIENCE_S, consilium, processes_of, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nginx")]


def proof_of_concept(tmp_path: Path, *options: str) -> "subprocess.Popen[str]":
    (tmp_path / "tmp").mkdir()
    return subprocess.Popen(
        [CONSILIUM, "poc", "lung", "--hospitals", "2", "--rounds", "1", *options],
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_a_whole_federation_runs_and_its_folder_goes_on_by_hand(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    begun = proof_of_concept(tmp_path, "--keep", str(kept), "--json")
    out, err = begun.communicate(timeout=PATIENCE_S)
    assert begun.returncode == 0, err
    told = json.loads(out)
    assert (told["exit_code"], told["figures"]["status"], told["figures"]["rounds"]) == (0, "completed", 1)
    assert sum(hospital["patients"] for hospital in told["hospitals"]) == 228
    assert all(f"$ {line}" in err for line in told["commands"])
    assert processes_of(kept) == []
    assert not list((tmp_path / "tmp").iterdir())

    home = open_home(kept / "coordinator")
    records = [record for record in read_journal(Path(told["run"])) if isinstance(record, RunRecord)]
    assert records[-1].sites == ("hospital 1", "hospital 2")
    assert read_state(home.services) is None
    release = kept / "model.release"
    consilium("coordinator", "release", home.folder, Path(told["run"]).name, "--out", release)
    os.environ["CONSILIUM_STATE"], before = str(kept / "state"), os.environ["CONSILIUM_STATE"]
    try:
        site = Home(kept / "hospital-1")
        consilium("site", "adopt", site.folder, release, "--yes")
        consilium("predict", site.folder, site.folder, "--out", kept / "forecasts.txt")
        assert (kept / "forecasts.txt").stat().st_size
        assert consilium("site", "doctor", site.folder, code=2)  # the coordinator has ended
    finally:
        os.environ["CONSILIUM_STATE"] = before


@pytest.mark.parametrize("how", ["interrupted", "hospital killed", "killed"])
def test_however_it_ends_nothing_runs_on(tmp_path: Path, how: str) -> None:
    begun = proof_of_concept(tmp_path)
    assert begun.stdout is not None
    lines = []
    for line in begun.stdout:
        lines.append(line)
        if "take part" in line:
            break
    assert "take part" in lines[-1], begun.communicate()
    (folder,) = (tmp_path / "tmp").iterdir()
    if how == "interrupted":
        begun.send_signal(signal.SIGINT)
        begun.send_signal(signal.SIGINT)
    elif how == "killed":
        begun.kill()
    else:
        state = read_state(Home(folder / "hospital-2").state / "services.json")
        assert state is not None
        os.kill(state.pid, signal.SIGKILL)
    _, err = begun.communicate(timeout=PATIENCE_S)
    assert begun.returncode == {"interrupted": 130, "killed": -9, "hospital killed": 1}[how], lines
    until(lambda: processes_of(tmp_path) == [], "processes are left", DEADLINE_S)
    if how != "killed":
        assert err.strip().count("\n") == 0
        assert not folder.exists()
    assert shlex.split(lines[0])
