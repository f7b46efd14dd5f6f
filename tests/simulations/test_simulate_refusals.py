"""What `consilium simulate` cannot do ends in one sentence, before anything is written."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result as Ended

from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import FILE_NAME
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


BAD_COHORTS = {
    "no federation file": (
        remove_agreement,
        rf"holds no {FILE_NAME}; name a cohort, or a folder that has one\.",
    ),
    "broken table": (
        break_table,
        r"clinical\.csv, column clinical_2: has cells that are not numbers; leave ",
    ),
    "broken table, no folds": (
        break_unfolded_table,
        r"column clinical_2: has cells that are not numbers; leave ",
    ),
    "broken site file": (
        break_site_file,
        r"site\.toml: cannot be read as TOML \(TOMLDecodeError\); correct it\.",
    ),
    "another hash": (
        approve_another,
        r"is not the one this hospital approved; review the new federation file",
    ),
    "another prior": (change_prior, r"is not the file agreed on; copy it from the coordinator again\."),
    "no participant": (rename_site, r"is not among the participants of .*; correct the name, or add"),
    "two of a name": (repeat_site, r"another site has the same name; give each its own\."),
    "no folder": (lose_site, r"participant hospital 2 has no site folder; add its folder, or remove"),
    "no sites": (lose_sites, r"holds no site folder; name a folder whose sub-folders have a site\.toml\."),
}


def assert_refused(ended: Ended, sentence: str, out: Path) -> None:
    assert ended.exit_code == 2, ended.output
    assert re.fullmatch(r"consilium: [^\n]+; [^\n;]+\.\n", ended.stderr), ended.stderr
    assert re.search(sentence, ended.stderr), ended.stderr
    assert "CANARY" not in ended.output
    assert not out.exists()


@pytest.mark.parametrize("what", BAD_COHORTS)
def test_a_bad_cohort_is_one_sentence_and_no_file(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path, what: str
) -> None:
    cohort, out = small_cohort(), tmp_path / "out"
    spoil, sentence = BAD_COHORTS[what]
    spoil(cohort)
    assert_refused(consilium("simulate", cohort, "--out", out), sentence, out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--engine", "spark"), r"--engine spark: is not an engine; use serial, processes, ray\."),
        (("--device", "gpu"), r"--device gpu: is not a device; use auto, cpu, cuda or cuda:N\."),
        (
            ("--device", "cuda:999"),
            r"--device cuda:999: asks for cuda:999, and .*; .* or ask for \"auto\" or",
        ),
        (("--fold", 0, "--folds", 1), r"--fold and --folds: exclude each other; give one of them\."),
        (("--folds", 6), r"--folds 6: the cohort has 5 folds; ask for fewer\."),
        (("--fold", 9), r"--fold 9: no patient is held out in that fold; choose another fold\."),
        (
            ("--set", "rounds"),
            r"--set rounds: is not KEY=VALUE; write for instance --set training\.rounds=20\.",
        ),
        (
            ("--set", "training.epochs=1"),
            r"--set training\.epochs: is not a setting of .*; use minimum_patients, or a key of \[model\]",
        ),
        (
            ("--set", "training.rounds=many"),
            r"--set, training\.rounds: Input should be a valid integer.*; correct",
        ),
        (("--set", "model.heads=3"), r"--set, model: .*heads must divide width.*; correct it\."),
    ],
)
def test_a_bad_option_is_one_sentence_and_no_file(
    consilium: Consilium,
    small_cohort: SmallCohort,
    tmp_path: Path,
    arguments: tuple[object, ...],
    sentence: str,
) -> None:
    out = tmp_path / "out"
    assert_refused(consilium("simulate", small_cohort(), *arguments, "--out", out), sentence, out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("mnist",), r"cohort mnist: is not known; use one of synthetic, lung, .*, or a folder\."),
        (
            ("tcga-brca", "--data", "nowhere"),
            r"nowhere: there is no such folder; correct --data or CONSILIUM_DATA\.",
        ),
        (
            ("fed-heart", "--data", "."),
            r"heart.*; name the folder of public data with --data or CONSILIUM_DATA\.",
        ),
    ],
)
def test_data_that_are_not_there_are_one_sentence_and_no_file(
    consilium: Consilium,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_refused(consilium("simulate", *arguments, "--out", "out"), sentence, tmp_path / "out")


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
    for out, sentence in (
        (other, "holds the site folders of a cohort; name another folder."),
        (tmp_path / "agreed", "holds a federation.toml that no result.json belongs to; name another folder."),
        (tmp_path / "nothing", "nothing is a link to nothing; name another folder."),
        (tmp_path / "nothing" / "below", "nothing is a link to nothing; name another folder."),
        (tmp_path / "loop", "loop is a link to nothing; name another folder."),
        (tmp_path / "odd", "its result.json is a folder; remove it, or name another folder."),
        (cohort, "is a folder of the cohort; name another folder."),
        (cohort / "hospital-1", "is a folder of the cohort; name another folder."),
        (tmp_path / "file", "file is not a folder; name a folder."),
        (tmp_path / "file" / "below", "file is not a folder; name a folder."),
    ):
        ended = consilium("simulate", cohort, "--out", out)
        assert ended.exit_code == 2, ended.output
        assert ended.stderr.endswith(f"{sentence}\n")
        assert "reading" not in ended.stdout
    assert contents(cohort) == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("lung", "--hospitals", 5),
            "--hospitals and --patients",
        ),
        (
            ("lung", "--ray-address", "127.0.0.1:1"),
            "--ray-address: needs --engine ray",
        ),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(
    consilium: Consilium, tmp_path: Path, options: tuple[object, ...], sentence: str
) -> None:
    ended = consilium("simulate", *options, "--out", tmp_path / "out")
    assert_refused(ended, sentence, tmp_path / "out")


def test_numbers_of_hospitals_do_not_go_with_a_folder(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    ended = consilium("simulate", small_cohort(), "--patients", 30, "--out", tmp_path / "out")
    assert_refused(ended, "are numbers of synthetic hospitals", tmp_path / "out")
