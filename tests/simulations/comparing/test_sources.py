"""Two results or two runs are compared only if they were judged on the same patients."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.messages.validation import VALIDATION_LOSS, VALIDATION_PATIENTS
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord
from simulations.comparing.report import comparison_page
from tests.simulations.conftest import run_consilium

METRICS = {"c_index": [0.70, 0.74, 0.72]}


def result(folder: Path, shift: float = 0.0, **changes: Any) -> Path:
    """Write a result of three folds with one task and one arm."""
    figures = [value + shift * (1 + number / 10) for number, value in enumerate(METRICS["c_index"])]
    summary = {"mean": sum(figures) / 3, "sd": 0.02, "per_fold": figures}
    record: dict[str, Any] = {
        "cohort": "lung",
        "federation": {"name": "lung", "digest": "ab" * 32},
        "seed": 0,
        "engine": "serial",
        "machine": MACHINE,
        "folds": [{"status": "completed", "rounds": 3}] * 3,
        "outcomes": {"survival": {"kind": "survival", "metric": "c_index"}},
        "hospitals": {"one": {"patients": 100, "held_out": {"survival": 99}}},
        "tasks": {"survival": {"federated": {"c_index": summary}}},
    }
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps({**record, **changes}))
    return folder


MACHINE = {"platform": "Linux", "processor": "a", "cores": 2, "python": "3.11", "torch": "2"}


def run(folder: Path, losses: dict[str, tuple[float, int]], status: str = "completed") -> Path:
    """Write the journal of a run whose kept weights had these (mean loss, patients) at the hospitals."""
    fields: dict[str, Any] = {"federation": "f", "digest": "d", "strategy": "fedavg", "fold": -1, "seed": 0}
    sites = {
        site: SiteRecord(metrics={VALIDATION_LOSS: loss * patients, VALIDATION_PATIENTS: float(patients)})
        for site, (loss, patients) in losses.items()
    }
    with Journal(folder) as journal:
        journal.write(RunRecord.model_validate({**fields, "status": "started"}))
        journal.write(RoundRecord(kind="train", round=1, seconds=1.0, applied=True))
        journal.write(RoundRecord(kind="evaluate", round=2, seconds=1.0, sites=sites, applied=True))
        journal.write(RunRecord.model_validate({**fields, "status": status, "best_round": 1}))
    return folder


def compare(*arguments: object, code: int = 0) -> dict[str, Any]:
    ended = run_consilium("compare", *arguments, "--json")
    assert ended.exit_code == code, ended.output
    told: dict[str, Any] = json.loads(ended.stdout) if code != 2 else {}
    return told


def test_two_results_are_paired_fold_by_fold(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    told = compare(result(tmp_path / "a", 0.1), result(tmp_path / "b"), "--html", page)
    (difference,) = told["differences"]
    assert difference["difference"] == pytest.approx(0.11)
    assert difference["pairs"] == 3
    assert difference["low"] > 0
    assert told["unit"] == "fold"
    html = page.read_text()
    assert "Paired differences" in html
    assert "Nadeau" in html
    ended = run_consilium("compare", tmp_path / "a", tmp_path / "b")
    assert "better by 0.110" in ended.stdout


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"cohort": "other"},
        {"hospitals": {"one": {"patients": 101, "held_out": {"survival": 99}}}},
        {"hospitals": {"one": {"patients": 100, "held_out": {"survival": 98}}}},
    ],
)
def test_results_on_other_patients_are_not_paired(tmp_path: Path, other: dict[str, Any]) -> None:
    told = compare(result(tmp_path / "a"), result(tmp_path / "b", **other), code=1)
    assert told["differences"] == []
    assert len(told["reasons"]) == 1


def test_two_runs_are_paired_hospital_by_hospital(tmp_path: Path) -> None:
    one = run(tmp_path / "a", {"north": (1.0, 20), "south": (0.8, 30), "west": (0.9, 10)})
    other = run(tmp_path / "b", {"north": (1.5, 20), "south": (1.4, 30), "west": (1.5, 10)})
    (difference,) = compare(one, other)["differences"]
    assert difference["difference"] == pytest.approx(-(0.5 + 0.6 + 0.6) / 3)
    assert difference["high"] < 0
    assert difference["pairs"] == 3
    assert "better" in run_consilium("compare", one, other).stdout


@pytest.mark.parametrize(
    "losses",
    [{"north": (1.0, 20)}, {"north": (1.0, 20), "south": (0.8, 31)}, {}],
)
def test_runs_of_other_hospitals_are_not_paired(tmp_path: Path, losses: dict[str, tuple[float, int]]) -> None:
    one = run(tmp_path / "a", {"north": (1.0, 20), "south": (0.8, 30)})
    told = compare(one, run(tmp_path / "b", losses), code=1)
    assert told["reasons"]
    assert "paired" in comparison_text_of(told)


def comparison_text_of(told: dict[str, Any]) -> str:
    from simulations.comparing.pairing import Paired

    return comparison_page(Paired.model_validate(told))


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder.mkdir(),
        lambda folder: result(folder, engine=5),
        lambda folder: run(folder, {}, status="failed"),
        lambda folder: run(folder, {"north": (1.0, 2)}),
    ],
)
def test_what_is_no_other_result_is_refused(tmp_path: Path, make: Callable[[Path], object]) -> None:
    make(tmp_path / "b")
    compare(result(tmp_path / "a"), tmp_path / "b", code=2)
