"""A patient's name and odd numbers on their way from a hospital's tables to all that a release gives."""

import io
import logging
import re
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from client.commands.approve import approve, read_proposal
from client.commands.init import initialise
from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, load, save
from common.release.members import CALIBRATION, EXPLANATIONS, INTERVALS, TEST, VALIDATION
from common.release.release import read_release
from server.commands.release import release
from server.home.places import create_home
from server.records.journal import FILE_NAME as JOURNAL
from server.records.statistics import FILE_NAME as STATISTICS
from simulations.cohorts.synthetic import write_synthetic
from tests.conftest import Canary, draw_anew_a_few_times, draw_no_report

CANARY, MONTHS = Canary(), 23.7190453
"""Name and measurement of a patient, and the time of the event, which is no other number."""


@dataclass(frozen=True)
class Released:
    """Folders of a simulation, of what its release gives, and everything that commands printed and logged."""

    folder: Path
    said: str

    def holding(self, folder: str) -> set[str]:
        """Name the files below a folder that hold the name, the measurement or the time."""
        times = [struct.pack(kind, MONTHS) for kind in ("<f", "<d", ">f", ">d")]
        files = [path for path in (self.folder / folder).rglob("*") if path.is_file()]
        contents = {path.name: path.read_bytes() for path in files}
        with_time = {
            name
            for name, content in contents.items()
            if re.search(rb"(?<![0-9])23\.719", content) or any(time in content for time in times)
        }
        return with_time | {*CANARY.files_with_it(self.folder / folder)}


def run(*arguments: object) -> str:
    """Run a command in this process, and return what it printed."""
    from consilium.command import app

    ended = CliRunner(env={"COLUMNS": "100"}).invoke(app, [str(argument) for argument in arguments])
    assert ended.exit_code == 0, ended.output
    return ended.output


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    """A release of two rounds of three hospitals, adopted and used by the first, whose first patient is the canary."""
    folder = tmp_path_factory.mktemp("released")
    _write_cohort(folder / "cohort")
    log = logging.StreamHandler(io.StringIO())
    with pytest.MonkeyPatch.context() as patch:
        draw_anew_a_few_times(patch)
        draw_no_report(patch)
        patch.setattr(logging.root, "level", logging.INFO)
        patch.setattr(logging.root, "handlers", [*logging.root.handlers, log])
        simulated = ("--fold", 0, "--engine", "serial", "--federated-only", "--out", folder / "out")
        said = run("simulate", folder / "cohort", *simulated)
        home = create_home(folder / "home", "localhost", 9443, None)
        shutil.copytree(folder / "out", home.runs / "run", ignore=shutil.ignore_patterns("checkpoint"))
        (home.runs / "run" / "journal-fold0.jsonl").rename(home.runs / "run" / JOURNAL)
        (sums,) = (folder / "out").rglob(STATISTICS)
        shutil.copy(sums, home.runs / "run")
        (folder / "reports").mkdir()
        said += run("coordinator", "report", home.folder, "run", "--html", folder / "reports" / "run.html")
        data = run("coordinator", "report", home.folder, "run", "--json")
        (folder / "reports" / "run.json").write_text(data)
        file = folder / "release.zip"
        release(home, "run", file)
        said += run("release", "verify", file, "--key", home.authority)
        said += run("release", "card", file, "--key", home.authority, "--out", folder / "card")
        said += _used_at_a_hospital(folder, file, home.authority)
    return Released(folder, said + log.stream.getvalue())


def _write_cohort(cohort: Path) -> None:
    write_synthetic(
        cohort, sites=3, patients=120, genes=16, proteins=4, clinical=4, imaging=4, lacking=0, seed=1
    )
    settings = {"model.node_width": "4", "model.pathway_width": "4", "model.width": "8", "model.heads": "2"}
    settings |= {"training.rounds": "2", "training.linear_rounds": "0", "training.batch_size": "16"}
    settings |= {
        "training.calibration_fraction": "0.2",
        "training.test_fraction": "0.3",
        "statistics.explanations": "true",
    }
    federation = load(cohort / FILE_NAME).changed(settings)
    tasks = tuple(task for task in federation.tasks if task.name == "survival")
    save(federation.model_copy(update={"tasks": tasks}), cohort / FILE_NAME)
    site = cohort / "hospital-1"
    first = str(pd.read_csv(site / "outcomes.csv", dtype=str)["patient"][0])
    for path in site.glob("*.csv"):
        table = pd.read_csv(path, dtype=str)
        chosen = table["patient"] == first
        table.loc[chosen, "patient"] = CANARY.name
        for column, number in (("image_1", CANARY.value), ("months", MONTHS)):
            if column in table:
                table.loc[chosen, column] = str(number)
        if "died" in table:
            table.loc[chosen, "died"] = "1"
        table.to_csv(path, index=False)


def _used_at_a_hospital(folder: Path, file: Path, authority: Path) -> str:
    """Adopt the release, validate it and predict; return what was printed."""
    shutil.copytree(folder / "cohort" / "hospital-1", folder / "site")
    home = Home(folder / "site")
    initialise(home, "hospital 1", "fl.example.org:9443", authority)
    approve(home, read_proposal(home, folder / "cohort"))
    said = run("site", "adopt", home.folder, file, "--yes")
    said += run("validate", home.folder, "--out", folder / "validated")
    said += run("site", "report", home.folder, "--html", folder / "reports" / "site.html")
    data = run("site", "report", home.folder, "--json", "--no-own")
    (folder / "reports" / "site.json").write_text(data)
    patients = folder / "patients"
    patients.mkdir()
    for path in home.folder.glob("*.csv"):
        if path.name != "outcomes.csv":
            pd.read_csv(path, dtype=str).iloc[:3].to_csv(patients / path.name, index=False)
    (folder / "predicted").mkdir()
    for form, options in (("page.html", ["--html"]), ("all.json", ["--json", "--explain"])):
        said += run("predict", home.folder, patients, *options, "--out", folder / "predicted" / form)
    return said + run("site", "status", home.folder) + run("site", "receipts", home.folder)


def test_the_release_has_all_that_hospitals_tell(released: Released) -> None:
    members = read_release(released.folder / "release.zip", None).members
    assert {CALIBRATION, INTERVALS, VALIDATION, TEST, EXPLANATIONS} <= {*members}


def test_the_patient_is_in_the_hospitals_tables(released: Released) -> None:
    assert {"outcomes.csv", "imaging.csv", "rna.csv"} <= released.holding("site")
    assert all(name.endswith(".csv") for name in released.holding("site"))


def test_the_patient_is_in_the_forecasts_of_that_patient(released: Released) -> None:
    assert released.holding("predicted") == {"page.html", "all.json"}


@pytest.mark.parametrize("folder", ["out", "home", "card", "validated", "reports"])
def test_the_patient_is_in_no_other_file(released: Released, folder: str) -> None:
    assert released.holding(folder) == set()


def test_the_patient_is_not_in_the_release(released: Released) -> None:
    assert "release.zip" not in released.holding(".")


def test_the_patient_is_in_nothing_that_was_printed_or_logged(released: Released) -> None:
    assert not CANARY.seen_in(released.said)
    assert "23.719" not in released.said
