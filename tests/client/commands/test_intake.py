"""Report of an intake: what rules changed, what stays undecided, and nothing of a patient."""

import json
import logging
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from client.cli import site_app
from client.commands.intake import intake
from client.site_folder.places import Home
from common.agreement.federation import save

if TYPE_CHECKING:
    from tests.client.conftest import Hospital, Site

CANARIES = ("CANARY", "98765", "98,765")
SEMICOLONS = {
    "missing": ["k.A.", "unk"],
    "clinical": {
        "delimiter": ";",
        "columns": {"stage": {"spelling": "loose"}, "age": {"decimal": ","}},
    },
}


def spoil(site: "Site") -> None:
    """Write a table of clinical data as a German program exports it, with a wrong cell of each kind."""
    site.clinical["age"] = [f"{age:g},5" for age in site.clinical["age"]]
    site.clinical["stage"] = ["CANARYLEVEL", *site.clinical["stage"][1:]]
    site.clinical.loc[1, "crp"] = "CANARY-WORD"
    site.clinical.loc[2, "age"] = "98765,4321"
    site.clinical.loc[3, "crp"] = "k.A."
    site.write()
    site.clinical.to_csv(site.folder / "clinical.csv", index=False, sep=";")


def test_rules_are_counted_and_what_stays_is_told_without_a_value(
    approved: Home, hospital: "Hospital", capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hospital.site.site["intake"] = SEMICOLONS
    before = set(approved.folder.rglob("*"))
    spoil(hospital.site)
    outcome = intake(approved, None)
    (clinical,) = [table for table in outcome.report.tables if table.table == "clinical"]
    effects = {(effect.rule, effect.column): effect.count for effect in clinical.effects}
    assert (effects["decimal", "age"], effects["missing", "crp"], effects["missing", "age"]) == (12, 1, 0)
    assert len(outcome.problems) == 3
    assert outcome.report.approved is False
    rows = [line for line in outcome.lines(shows_rows=True) if "in rows" in line]
    assert rows == [f"    in rows {row} of the file" for row in (3, 4, 2)]
    assert not [line for line in outcome.lines(shows_rows=False) if "in rows" in line]
    assert stat.S_IMODE(outcome.path.stat().st_mode) == 0o600
    assert set(approved.folder.rglob("*")) - before == {outcome.path}
    said = outcome.path.read_text() + "\n".join(outcome.lines(shows_rows=True)) + caplog.text
    said += "".join(capfd.readouterr())
    assert not [canary for canary in CANARIES if canary in said]


def test_lines_to_paste_are_proposed_and_reading_by_them_works(approved: Home, hospital: "Hospital") -> None:
    import tomllib

    site = hospital.site
    site.clinical["age"] = [f"{age:g},5" for age in site.clinical["age"]]
    site.clinical.loc[3, "crp"] = "k.A."
    site.outcomes["died"] = ["dead" if died else "alive" for died in site.outcomes["died"]]
    site.outcomes["patient"] = [str(patient).upper() for patient in site.outcomes["patient"]]
    site.write()
    site.clinical.to_csv(site.folder / "clinical.csv", index=False, sep=";", encoding="utf-16")
    first = intake(approved, None).report
    assert first.undecided
    proposed = tomllib.loads("\n".join(first.proposed))["intake"]
    assert proposed == {
        "outcomes": {"columns": {"died": {"recode": {"alive": 0, "dead": 1}}}},
        "clinical": {
            "encoding": "utf-16",
            "delimiter": ";",
            "columns": {"age": {"decimal": ","}, "crp": {"missing": ["k.A."]}},
        },
        "identifiers": {"case": "upper"},
    }
    site.site["intake"] = proposed
    site.write()
    site.clinical.to_csv(site.folder / "clinical.csv", index=False, sep=";", encoding="utf-16")
    second = intake(approved, None).report
    assert (second.undecided, second.proposed) == ((), ())


def test_rules_that_apply_to_nothing_are_said(approved: Home, hospital: "Hospital") -> None:
    del hospital.site.site["tables"]["rna"]
    hospital.site.site["intake"] = {"dates": ["DD.MM.YYYY"], "rna": {"delimiter": ";"}}
    hospital.write()
    unused = intake(approved, None).report.unused
    assert [what.partition(":")[0] for what in unused] == ["intake.rna", "intake.dates"]


def test_a_federation_file_can_be_named_before_any_is_approved(
    site_folder: "Site", small_federation: Any, tmp_path: Path
) -> None:
    folder = site_folder.write()
    command = ["intake", str(folder), "--json"]
    assert CliRunner().invoke(site_app, command).exit_code == 2
    save(small_federation, tmp_path / "federation.toml")
    ended = CliRunner().invoke(site_app, [*command, "--federation", str(tmp_path)])
    assert ended.exit_code == 0
    report = json.loads(ended.stdout)
    assert (report["approved"], report["undecided"], len(report["tables"])) == (None, [], 3)


@pytest.mark.slow
def test_rows_are_shown_on_a_terminal_alone(approved: Home, hospital: "Hospital") -> None:
    hospital.site.site["intake"] = SEMICOLONS
    spoil(hospital.site)
    command = [sys.executable, "-m", "consilium", "site", "intake", str(approved.folder)]
    piped = subprocess.run(command, capture_output=True, text=True, check=False)
    assert piped.returncode == 2
    assert "in rows" not in piped.stdout + piped.stderr
    master, terminal = pty.openpty()
    subprocess.run(command, stdout=terminal, stderr=terminal, check=False)
    os.close(terminal)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert "in rows 2 of the file" in shown
    assert not [canary for canary in CANARIES if canary in piped.stdout + piped.stderr + shown]
