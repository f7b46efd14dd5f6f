"""Command `consilium federation`, as a coordinator types it."""

import json
from pathlib import Path

from typer.testing import CliRunner

from common.agreement.federation import FILE_NAME, save
from consilium.federation_cli import federation_app
from tests.conftest import _federation

runner = CliRunner()


def test_check_prints_every_fault_and_exits_with_2(tmp_path: Path) -> None:
    save(_federation(), tmp_path / FILE_NAME)
    text = (tmp_path / FILE_NAME).read_text()
    (tmp_path / FILE_NAME).write_text(text.replace("quorum", "quorom").replace("patience", "patients"))

    shown = runner.invoke(federation_app, ["check", str(tmp_path)])
    data = json.loads(runner.invoke(federation_app, ["check", str(tmp_path), "--json"]).stdout)

    assert shown.exit_code == 2
    assert "quorom" in shown.output
    assert not data["usable"]
    assert {fault["nearest"] for fault in data["faults"]} == {"quorum", "patience"}
    assert all(fault["line"] for fault in data["faults"])


def test_check_of_a_sound_file_exits_with_0(tmp_path: Path) -> None:
    save(_federation(), tmp_path / FILE_NAME)

    shown = runner.invoke(federation_app, ["check", str(tmp_path / FILE_NAME), "--json"])

    assert shown.exit_code == 0
    data = json.loads(shown.stdout)
    assert (data["usable"], data["digest"]) == (True, _federation().digest)
