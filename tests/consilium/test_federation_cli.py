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


def test_explain_names_columns_units_and_what_leaves(tmp_path: Path) -> None:
    save(_federation(), tmp_path / FILE_NAME)

    shown = runner.invoke(federation_app, ["explain", str(tmp_path)])

    assert shown.exit_code == 0
    assert "sex: one of f, m" in shown.output
    assert "time, event in months" in shown.output
    assert _federation().digest in shown.output


def test_diff_names_each_change_and_asks_for_approval(tmp_path: Path) -> None:
    for name, quorum in (("old", "0.5"), ("new", "1.0")):
        (tmp_path / name).mkdir()
        save(_federation().changed({"rounds.quorum": quorum}), tmp_path / name / FILE_NAME)

    data = json.loads(
        runner.invoke(federation_app, ["diff", str(tmp_path / "old"), str(tmp_path / "new"), "--json"]).stdout
    )

    assert data["approve_again"]
    assert [(change["key"], change["old"], change["new"]) for change in data["changes"]] == [
        ("rounds.quorum", 0.5, 1.0)
    ]


def test_the_schema_knows_the_keys_of_every_kind() -> None:
    schema = json.loads(runner.invoke(federation_app, ["schema"]).stdout)

    assert "longest" in schema["definitions"]["SurvivalTask"]["properties"]
    assert "width" in schema["definitions"]["HierarchicalConfig"]["properties"]
    assert schema["properties"]["tasks"]["type"] == "array"
