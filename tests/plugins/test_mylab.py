"""A laboratory's task, model, strategy and cohort: simulated together, with no file of the packages touched."""

import json
from pathlib import Path

import pytest

from common.plugins.plugin import Plugin
from tests.plugins.fresh_process import consilium


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_cohort_is_simulated_with_its_task_model_and_strategy(
    mylab: Plugin, tmp_path: Path, engine: str
) -> None:
    out = tmp_path / "out"
    ended = consilium(
        *("simulate", "mylab-nodules", "--fold", "0", "--rounds", "3", "--federated-only"),
        *("--engine", engine, "--out", str(out)),
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads((out / "result.json").read_text())
    assert set(result["tasks"]) == {"nodules"}
    assert result["outcomes"]["nodules"]["kind"] == "count"
    assert result["tasks"]["nodules"]["federated"]["deviance"]["mean"] > 0
    assert result["folds"][0]["rounds"] == 3


def test_a_cohort_of_no_plug_in_is_still_unknown(mylab: Plugin, tmp_path: Path) -> None:
    ended = consilium("simulate", "mylab-other", "--out", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "mylab-nodules" in ended.stderr


def test_a_plug_in_that_is_not_whole_stops_the_search(
    mylab: Plugin, site_packages: Path, tmp_path: Path
) -> None:
    (site_packages / "mylab" / "extra.py").write_text("")
    ended = consilium("simulate", "mylab-nodules", "--out", str(tmp_path / "out"))
    assert ended.returncode == 2
    assert "plug-in mylab" in ended.stderr
