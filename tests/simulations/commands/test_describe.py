import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import Result as Ended

from common.agreement.federation import FILE_NAME

SmallCohort = Callable[..., Path]
Consilium = Callable[..., Ended]


def test_a_sound_cohort_is_told_in_counts(consilium: Consilium, small_cohort: SmallCohort) -> None:
    cohort = small_cohort()
    ended = consilium("cohort", "describe", cohort)
    assert ended.exit_code == 0
    assert ended.stderr == ""
    lines = [line.split() for line in ended.stdout.splitlines()]
    assert ["site", "patients", "clinical", "rna", "protein", "copy_number", "mutation", "imaging"] in lines
    (coverage,) = [line for line in lines if line[:3] == ["hospital", "2", "30"] and "—" in line]
    assert coverage[5] == "—"
    outcomes = pd.read_csv(cohort / "hospital-2" / "outcomes.csv")
    deaths = [f"{outcomes['died'].notna().sum()}", f"{int(outcomes['died'].sum())}"]
    assert ["hospital", "2", *deaths] in lines
    assert {"synthetic:", "3", "90", "no"} <= set(lines[-1])
    assert all(len(line) <= 100 for line in ended.stdout.splitlines())


def test_json_holds_the_same_counts(consilium: Consilium, small_cohort: SmallCohort) -> None:
    cohort = small_cohort()
    ended = consilium("cohort", "describe", cohort, "--json")
    assert ended.exit_code == 0
    sites = json.loads(ended.stdout)
    assert [site["site"] for site in sites] == ["hospital 1", "hospital 2", "hospital 3"]
    outcomes = pd.read_csv(cohort / "hospital-2" / "outcomes.csv")
    assert sites[1]["patients"] == 30
    assert sites[1]["problems"] == []
    assert sites[1]["tasks"]["response"] == {
        "labelled": int(outcomes["response"].notna().sum()),
        "no": int((outcomes["response"] == "no").sum()),
        "yes": int((outcomes["response"] == "yes").sum()),
    }
    assert sites[1]["modalities"]["rna"] == {"patients": 0, "missing": 1.0, "unmatched": 0}
    clinical = pd.read_csv(cohort / "hospital-2" / "clinical.csv").drop(columns="patient")
    assert sites[1]["modalities"]["clinical"]["patients"] == int(clinical.notna().any(axis=1).sum())


def test_one_site_is_described_with_the_federation_file_above_it(
    consilium: Consilium, small_cohort: SmallCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort()
    (only,) = json.loads(consilium("cohort", "describe", cohort / "hospital-3", "--json").stdout)
    assert only["site"] == "hospital 3"
    assert "1 site, 30 patients" in consilium("cohort", "describe", cohort / "hospital-3").stdout
    monkeypatch.chdir(cohort / "hospital-3")
    assert consilium("cohort", "describe", ".").exit_code == 0


def test_a_federation_file_elsewhere_is_named(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    cohort.rename(tmp_path / "agreed")
    hospital = tmp_path / "hospital"
    (tmp_path / "agreed" / "hospital-1").rename(hospital)
    ended = consilium("cohort", "describe", hospital)
    assert ended.exit_code == 2
    assert str(hospital) in ended.stderr
    assert "--federation" in ended.stderr
    named = tmp_path / "agreed" / FILE_NAME
    assert consilium("cohort", "describe", hospital, "--federation", named).exit_code == 0


def test_every_problem_of_every_site_is_listed_and_no_value(
    consilium: Consilium, small_cohort: SmallCohort, canary: Any
) -> None:
    cohort = small_cohort()
    canary.plant(cohort / "hospital-1" / "clinical.csv", "clinical_1", valid=True)
    canary.plant(cohort / "hospital-1" / "protein.csv", "G1", valid=False)
    outcomes = pd.read_csv(cohort / "hospital-1" / "outcomes.csv", dtype=str)
    outcomes.assign(died="2").to_csv(cohort / "hospital-1" / "outcomes.csv", index=False)
    (cohort / "hospital-2" / "site.toml").write_text("name = ")
    (cohort / "hospital-3" / "imaging.csv").unlink()

    ended = consilium("cohort", "describe", cohort)
    assert ended.exit_code == 2
    lines = ended.stdout.splitlines()
    for site, where in (
        ("hospital 1", cohort / "hospital-1" / "clinical.csv, column clinical_1"),
        ("hospital 1", cohort / "hospital-1" / "protein.csv, column G1"),
        ("hospital 1", cohort / "hospital-1" / "outcomes.csv, column died"),
        ("hospital-2", cohort / "hospital-2" / "site.toml, line 1"),
        ("hospital 3", cohort / "hospital-3" / "imaging.csv"),
    ):
        (line,) = [line for line in lines if line.startswith(f"{site}: {where}: ")]
        assert line.endswith(".")
    (row,) = [line.split() for line in lines if line.split()[:1] == ["hospital-2"]]
    assert not any(cell.isdigit() for cell in row)
    assert re.findall(r"\d+", lines[-1]) == ["3", "60", "5"]
    assert not canary.seen_in(ended.output)

    told = consilium("cohort", "describe", cohort, "--json")
    assert told.exit_code == 2
    sites = json.loads(told.stdout)
    assert [len(site["problems"]) for site in sites] == [3, 1, 1]
    assert sites[2]["problems"][0].startswith(f"{cohort / 'hospital-3' / 'imaging.csv'}: ")
    assert not canary.seen_in(told.output)


def test_a_cohort_nobody_can_read_is_told_without_tables(
    consilium: Consilium, small_cohort: SmallCohort
) -> None:
    cohort = small_cohort()
    for site in cohort.glob("*/outcomes.csv"):
        site.write_text("")
    ended = consilium("cohort", "describe", cohort)
    assert ended.exit_code == 2
    last = ended.stdout.splitlines()[-1]
    assert "3 sites, no patients, 3 problems" in last


def test_rows_of_strangers_are_counted(consilium: Consilium, small_cohort: SmallCohort, canary: Any) -> None:
    cohort = small_cohort()
    rna = pd.read_csv(cohort / "hospital-1" / "rna.csv", dtype=str)
    stranger = rna.iloc[:1].assign(patient=canary.name)
    pd.concat([rna, stranger]).to_csv(cohort / "hospital-1" / "rna.csv", index=False)
    ended = consilium("cohort", "describe", cohort)
    assert ended.exit_code == 0
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("hospital 1: rna ")]
    assert " 1 " in line
    (first, *_) = json.loads(consilium("cohort", "describe", cohort, "--json").stdout)
    assert first["modalities"]["rna"]["unmatched"] == 1
    assert not canary.seen_in(ended.output)


def test_a_folder_without_sites_is_bad_input(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    ended = consilium("cohort", "describe", tmp_path / "nothing", "--federation", cohort / FILE_NAME)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"consilium: {tmp_path / 'nothing'}: ")
