"""Forecasts reach the person who asked, and no log, error or other file."""

import json
import os
import pty
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save as arrays_content
from typer.testing import CliRunner

from client.commands.adopt import adopt, read_adoption
from client.commands.predict import predict
from client.predict_cli import predict_app
from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, load
from common.errors import InvalidContentError, OptionError, StateError
from common.release.members import PREPROCESSING
from common.release.stamp import arrays_of
from tests.conftest import Canary
from tests.released import Coordinator


@pytest.fixture
def coordinator(approved: Home, proposal: Path) -> Coordinator:
    made = Coordinator(proposal, load(proposal / FILE_NAME), ("north",))
    approved.authority.write_bytes(made.authority.read_bytes())
    return made


@pytest.fixture
def adopted(approved: Home, coordinator: Coordinator) -> Home:
    """A site that predicts."""
    adopt(approved, read_adoption(approved, coordinator.write()))
    return approved


@pytest.fixture
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a patient who is in no cohort."""
    folder = tmp_path_factory.mktemp("clinic")
    clinical = {"patient": [Canary.name], "age": [61.0], "crp": [float(Canary.value)], "stage": ["2"]}
    pd.DataFrame(clinical).to_csv(folder / "clinical.csv", index=False)
    return folder


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_one_patient_without_outcomes_is_predicted_with_the_version(adopted: Home, tables: Path) -> None:
    made = predict(adopted, [tables], [12.0])
    (patient,) = made.patients
    assert (made.version, patient.patient, patient.observed) == (
        "test-1",
        Canary.name,
        {"clinical": 1.0, "rna": 0.0},
    )
    assert set(patient.tasks) == {"survival", "response", "toxicity"}
    assert predict(adopted, [tables / "clinical.csv"], [12.0]) == made


def test_a_prediction_is_explained_in_text(adopted: Home, tables: Path) -> None:
    out = tables / "why.txt"
    asked = [str(adopted.folder), str(tables), "--horizon", "12", "--explain", "--out", str(out)]
    assert CliRunner().invoke(predict_app, asked).exit_code == 0
    text = out.read_text()
    for part in ("reasons for survival risk by 12", "clinical age = 61", "stage = 2", "no causes"):
        assert part in text
    without = [part for part in asked if part != "--explain"]
    assert CliRunner().invoke(predict_app, without).exit_code == 0
    assert "reasons" not in out.read_text()


def test_a_page_has_the_reasons_and_is_for_its_owner_alone(adopted: Home, tables: Path) -> None:
    out = tables / "page.html"
    asked = [str(adopted.folder), str(tables), "--horizon", "12", "--html", "--out", str(out)]
    assert CliRunner().invoke(predict_app, asked).exit_code == 0
    page = out.read_text()
    for part in (Canary.name, "test-1", "by 12", "Raise the risk", "Speak for it", "research use"):
        assert part in page
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_patients_who_are_not_predicted_end_the_command_with_a_code_of_their_own(
    approved: Home, coordinator: Coordinator, tables: Path, canary: Canary
) -> None:
    """Ages are far from the mean, on the scale of a preprocessing that leaves values as they are."""
    members = coordinator.members()
    prepared = arrays_of(members[PREPROCESSING])
    plain = {
        name: array if name.startswith("cuts") else np.full_like(array, name.startswith("spread"))
        for name, array in prepared.items()
    }
    file = coordinator.folder / "plain.zip"
    file.write_bytes(coordinator.made(members=members | {PREPROCESSING: arrays_content(plain)})[1])
    adopt(approved, read_adoption(approved, file))
    out = tables / "made.json"
    asked = [str(approved.folder), str(tables), "--json", "--out", str(out)]
    alone = CliRunner().invoke(predict_app, asked)
    assert alone.exit_code == 2
    assert json.loads(out.read_text())["patients"][0]["answer"] == "no prediction"
    assert json.loads(out.read_text())["patients"][0]["tasks"] == {}
    both = {"patient": [canary.name, "other"], "age": [61.0, 1.0], "crp": [2.0, 1.0], "stage": ["2", "2"]}
    pd.DataFrame(both).to_csv(tables / "clinical.csv", index=False)
    some = CliRunner().invoke(predict_app, asked)
    assert some.exit_code == 3
    answers = [patient["answer"] for patient in json.loads(out.read_text())["patients"]]
    assert answers == ["no prediction", "fine"]
    for ended in (alone, some):
        assert not canary.seen_in(ended.output)


def test_pages_need_a_file_and_are_no_json(adopted: Home, tables: Path) -> None:
    out = tables / "page.html"
    for options in (["--html"], ["--html", "--json", "--out", str(out)]):
        assert CliRunner().invoke(predict_app, [str(adopted.folder), str(tables), *options]).exit_code == 2
    assert not out.exists()


def test_a_whole_cohort_is_predicted_from_the_site_folder(adopted: Home) -> None:
    made = predict(adopted, [adopted.folder], [])
    assert len(made.patients) == 12
    assert made.patients[0].observed == {"clinical": 1.0, "rna": 1.0}


def test_without_a_release_or_beyond_the_follow_up_it_is_refused(
    approved: Home, coordinator: Coordinator, tables: Path
) -> None:
    with pytest.raises(StateError):
        predict(approved, [tables], [])
    adopt(approved, read_adoption(approved, coordinator.write()))
    with pytest.raises(OptionError):
        predict(approved, [tables], [1e9])


def test_a_value_in_another_unit_is_refused(adopted: Home, tables: Path) -> None:
    table = pd.read_csv(tables / "clinical.csv")
    table["age"] = 61.0 * 12
    table.to_csv(tables / "clinical.csv", index=False)
    with pytest.raises(InvalidContentError) as error:
        predict(adopted, [tables], [])
    assert "plausible range" in error.value.what


def test_the_file_is_for_its_owner_alone_and_nothing_else_is_written_or_logged(
    adopted: Home,
    tables: Path,
    tmp_path_factory: pytest.TempPathFactory,
    everything_logged: Callable[[], str],
    canary: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path_factory.mktemp("out") / "forecast.json"
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    state = Path(os.environ["CONSILIUM_STATE"])
    before = everything(adopted.folder), everything(state), everything(tables)
    asked = [str(adopted.folder), str(tables), "--explain", "--json", "--out", str(out)]
    ended = CliRunner().invoke(predict_app, asked)
    assert ended.exit_code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    (written,) = json.loads(out.read_text())["patients"]
    assert written["patient"] == canary.name
    assert {reason["column"] for each in written["explanations"] for reason in each["higher"] + each["lower"]}
    assert (everything(adopted.folder), everything(state), everything(tables)) == before
    assert list(temporary.iterdir()) == []
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    for text in (ended.output, everything_logged()):
        assert not canary.seen_in(text)


def test_no_refusal_names_the_patient_or_a_value(
    adopted: Home, tables: Path, tmp_path: Path, everything_logged: Callable[[], str], canary: Any
) -> None:
    table = pd.read_csv(tables / "clinical.csv", dtype=str)
    out = tmp_path / "never.txt"
    for column, cell in (
        ("age", canary.value),
        ("age", canary.name),
        ("stage", canary.name),
        ("patient", ""),
    ):
        table.assign(**{column: cell}).to_csv(tables / "clinical.csv", index=False)
        ended = CliRunner().invoke(predict_app, [str(adopted.folder), str(tables), "--out", str(out)])
        assert ended.exit_code == 2
        assert ended.exception is None or isinstance(ended.exception, SystemExit)
        assert not canary.seen_in(ended.output)
    table[["patient"]].assign(age="", crp="", stage="").to_csv(tables / "clinical.csv", index=False)
    ended = CliRunner().invoke(predict_app, [str(adopted.folder), str(tables), "--out", str(out)])
    assert ended.exit_code == 2
    assert not canary.seen_in(ended.output)
    assert not out.exists()
    assert not canary.seen_in(everything_logged())


def test_no_file_of_the_site_and_no_table_is_replaced(adopted: Home, tables: Path) -> None:
    (tables / "link.txt").symlink_to(tables / "none.txt")
    before = everything(adopted.folder), everything(tables)
    for out in (
        tables / "clinical.csv",
        adopted.folder / "site.toml",
        tables / "link.txt",
        tables,
        Path(os.devnull),
    ):
        ended = CliRunner().invoke(predict_app, [str(adopted.folder), str(tables), "--out", str(out)])
        assert ended.exit_code == 2
        assert Canary.name not in ended.output
    assert (everything(adopted.folder), everything(tables)) == before
    assert (tables / "link.txt").is_symlink()
    assert Path(os.devnull).is_char_device()


def test_standard_output_that_is_no_terminal_is_refused(adopted: Home, tables: Path) -> None:
    ended = CliRunner().invoke(predict_app, [str(adopted.folder), str(tables)])
    assert ended.exit_code == 2
    assert Canary.name not in ended.output


@pytest.mark.slow
def test_a_terminal_shows_the_forecast(adopted: Home, tables: Path) -> None:
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "consilium", "predict", str(adopted.folder), str(tables)]
    ended = subprocess.run(command, stdout=terminal, stderr=subprocess.PIPE, check=False, timeout=120)
    os.close(terminal)
    shown = os.read(main, 100_000).decode()
    os.close(main)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert f"Patient {Canary.name}" in shown
    assert "Calibrated at this hospital: no" in shown
