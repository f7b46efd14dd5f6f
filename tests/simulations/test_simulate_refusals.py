"""Refusals of `consilium simulate`, in one sentence and before anything is written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result as Ended

from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import FILE_NAME
from common.errors import (
    ApprovalError,
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    UnreadableFileError,
)
from simulations.commands.simulate import simulate
from simulations.experiment.options import Options
from tests.simulations.cohort_files import contents, without_folds

SmallCohort = Callable[..., Path]
Consilium = Callable[..., Ended]


def remove_agreement(cohort: Path) -> None:
    (cohort / FILE_NAME).unlink()


def break_table(cohort: Path) -> None:
    frame = pd.read_csv(cohort / "hospital-2" / "clinical.csv", dtype=str)
    frame.loc[3, "clinical_2"] = "CANARY-8371"
    frame.to_csv(cohort / "hospital-2" / "clinical.csv", index=False)


def break_unfolded_table(cohort: Path) -> None:
    without_folds(cohort)
    break_table(cohort)


def break_site_file(cohort: Path) -> None:
    (cohort / "hospital-2" / SITE_FILE).write_text("name = ")


def approve_another(cohort: Path) -> None:
    site = cohort / "hospital-2" / SITE_FILE
    site.write_text(f'approved = "{"0" * 64}"\n' + site.read_text())


def change_prior(cohort: Path) -> None:
    next((cohort / "prior").iterdir()).write_text("a,b\nG1,G3\n")


def rename_site(cohort: Path) -> None:
    site = cohort / "hospital-2" / SITE_FILE
    site.write_text(site.read_text().replace("hospital 2", "hospital 9"))


def repeat_site(cohort: Path) -> None:
    shutil.copytree(cohort / "hospital-2", cohort / "hospital-4")


def lose_site(cohort: Path) -> None:
    shutil.rmtree(cohort / "hospital-2")


def lose_sites(cohort: Path) -> None:
    for site in cohort.glob(f"*/{SITE_FILE}"):
        shutil.rmtree(site.parent)


TABLE = "/hospital-2/clinical.csv, column clinical_2"


BAD_COHORTS: dict[str, tuple[Callable[[Path], None], type[InputError], str]] = {
    "no federation file": (remove_agreement, MissingFileError, ""),
    "broken table": (break_table, InvalidContentError, TABLE),
    "broken table, no folds": (break_unfolded_table, InvalidContentError, TABLE),
    "broken site file": (break_site_file, UnreadableFileError, f"/hospital-2/{SITE_FILE}, line 1"),
    "another hash": (approve_another, ApprovalError, f"/hospital-2/{SITE_FILE}, line 1, approved"),
    "another prior": (change_prior, IntegrityError, "/prior/pathways.csv"),
    "no participant": (rename_site, InvalidContentError, f"/hospital-2/{SITE_FILE}"),
    "two of a name": (repeat_site, InvalidContentError, f"/hospital-2/{SITE_FILE}"),
    "no folder": (lose_site, MissingFileError, f"/{FILE_NAME}"),
    "no sites": (lose_sites, MissingFileError, ""),
}


def assert_refused(ended: Ended, where: str, out: Path) -> None:
    """Hold that a command ended in a sentence about `where`, with a remedy, and wrote nothing."""
    assert ended.exit_code == 2, ended.output
    assert re.fullmatch(r"consilium: [^\n]+; [^\n;]+\.\n", ended.stderr), ended.stderr
    assert ended.stderr.startswith(f"consilium: {where}: "), ended.stderr
    assert "CANARY" not in ended.output
    assert not out.exists()


@pytest.mark.parametrize("what", BAD_COHORTS)
def test_a_bad_cohort_is_one_sentence_and_no_file(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, what: str
) -> None:
    cohort, out = small_cohort(), tmp_path / "out"
    spoil, kind, where = BAD_COHORTS[what]
    spoil(cohort)
    with pytest.raises(kind) as refused:
        simulate(str(cohort), None, None, None, Options(out=out))
    assert refused.value.where == f"{cohort}{where}"
    assert_refused(consilium("simulate", cohort, "--out", out), f"{cohort}{where}", out)


@pytest.mark.parametrize(
    ("arguments", "where", "facts"),
    [
        (("--engine", "spark"), "--engine spark", ("serial", "processes", "ray")),
        (("--device", "gpu"), "--device gpu", ("auto", "cpu", "cuda", "cuda:N")),
        (("--device", "cuda:999"), "--device cuda:999", ("auto", "cpu")),
        (("--fold", 0, "--folds", 1), "--fold and --folds", ()),
        (("--folds", 6), "--folds 6", ("5 folds",)),
        (("--fold", 9), "--fold 9", ()),
        (("--set", "rounds"), "--set rounds", ("KEY=VALUE", "--set training.rounds=20")),
        (("--set", "training.epochs=1"), "--set training.epochs", ("minimum_patients", "[model]")),
        (("--set", "training.rounds=many"), "--set, training.rounds", ("whole number",)),
        (("--set", "model.heads=3"), "--set, model.width", ("heads", "width")),
    ],
)
def test_a_bad_option_is_one_sentence_and_no_file(
    consilium: Consilium,
    small_cohort: SmallCohort,
    tmp_path: Path,
    arguments: tuple[object, ...],
    where: str,
    facts: tuple[str, ...],
) -> None:
    out = tmp_path / "out"
    ended = consilium("simulate", small_cohort(), *arguments, "--out", out)
    assert_refused(ended, where, out)
    assert all(fact in ended.stderr for fact in facts), ended.stderr


@pytest.mark.parametrize(
    ("arguments", "where", "facts"),
    [
        (("mnist",), "cohort mnist", ("synthetic", "lung")),
        (("tcga-brca", "--data", "nowhere"), "nowhere", ("--data", "CONSILIUM_DATA")),
        (
            ("fed-heart", "--data", "."),
            "flamby_heart/fed_heart_disease.csv",
            ("--data", "CONSILIUM_DATA"),
        ),
    ],
)
def test_data_that_are_not_there_are_one_sentence_and_no_file(
    consilium: Consilium,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    where: str,
    facts: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = consilium("simulate", *arguments, "--out", "out")
    assert_refused(ended, where, tmp_path / "out")
    assert all(fact in ended.stderr for fact in facts), ended.stderr


def test_where_results_cannot_go_is_said_before_training(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    before = contents(cohort)
    (tmp_path / "file").write_text("")
    (tmp_path / "nothing").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "odd" / "result.json").mkdir(parents=True)
    other = small_cohort("other")
    (other / FILE_NAME).unlink()
    (tmp_path / "agreed").mkdir()
    shutil.copy(cohort / FILE_NAME, tmp_path / "agreed")
    for out, fact in (
        (other, ""),
        (tmp_path / "agreed", FILE_NAME),
        (tmp_path / "nothing", str(tmp_path / "nothing")),
        (tmp_path / "nothing" / "below", f"{tmp_path / 'nothing'} "),
        (tmp_path / "loop", str(tmp_path / "loop")),
        (tmp_path / "odd", "result.json"),
        (cohort, ""),
        (cohort / "hospital-1", ""),
        (tmp_path / "file", str(tmp_path / "file")),
        (tmp_path / "file" / "below", f"{tmp_path / 'file'} "),
    ):
        ended = consilium("simulate", cohort, "--out", out)
        assert ended.exit_code == 2, ended.output
        option, what = ended.stderr.split(": ")[1:]
        assert option == f"--out {out}"
        assert fact in what
        assert ended.stdout == ""
    assert contents(cohort) == before


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (("lung", "--hospitals", 5), "--hospitals and --patients"),
        (("lung", "--ray-address", "127.0.0.1:1"), "--ray-address"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    consilium: Consilium, tmp_path: Path, options: tuple[object, ...], where: str
) -> None:
    ended = consilium("simulate", *options, "--out", tmp_path / "out")
    assert_refused(ended, where, tmp_path / "out")


def test_numbers_of_hospitals_do_not_go_with_a_folder(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    ended = consilium("simulate", small_cohort(), "--patients", 30, "--out", tmp_path / "out")
    assert_refused(ended, "--hospitals and --patients", tmp_path / "out")
