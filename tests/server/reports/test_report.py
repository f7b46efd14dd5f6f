"""Report of a run from its folder, and its page and lines."""

import shutil
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, load, save
from common.errors import StateError, UnreadableFileError
from common.release.members import WEIGHTS
from server.records.journal import FILE_NAME as JOURNAL
from server.records.statistics import FILE_NAME as STATISTICS
from server.reports.lines import report_lines
from server.reports.page import page
from server.reports.report import run_report


def test_a_report_has_hospitals_curves_test_and_patients(finished: Path) -> None:
    report = run_report(finished, "test-1")
    assert (report.status, report.kept_round, report.version) == ("completed", 1, "test-1")
    one, three, two = report.hospitals
    assert (one.rounds, one.patients, one.assessed, one.absences) == ((1, 2), 200, ("test",), ())
    assert (two.rounds, two.evaluated) == ((1,), True)
    assert [absence.exchanges for absence in two.absences] == [("2", "assessment, test")]
    assert three.rounds == ()
    assert [absence.exchanges for absence in three.absences] == [()]
    assert [(record.kind, record.trained) for record in report.rounds] == [
        ("train", 0),
        ("train", 1),
        ("evaluate", 2),
    ]
    concordance = report.rounds[-1].concordance["survival"]
    assert (concordance.patients, concordance.pairs) == (60, 600)
    assert concordance.estimate.low is not None
    assert concordance.estimate.low < 0.7 < (concordance.estimate.high or 0)
    assert report.test is not None
    told = [outcome for outcomes in report.test.tasks.values() for outcome in outcomes if outcome.patients]
    assert told
    assert all(set(outcome.patients) == {"one", "two"} for outcome in told)
    assert all(outcome.concordance.low is not None for outcome in told)
    assert all(cell.events is not None for outcome in told for cell in outcome.cells)
    assert report.baseline is not None
    assert report.baseline.patients == {"one": 200, "two": 200}
    assert any(row.everyone is not None for row in report.baseline.rows)
    assert report.validation is None


def test_the_page_is_whole_and_lines_name_every_hospital(finished: Path) -> None:
    report = run_report(finished)
    html = page(report)
    for address in ("test", "hospitals", "training", "patients", "conditions", "limits"):
        assert f'<section id="{address}"' in html
    assert "src=" not in html
    assert "kept: round 1" in html
    text = "\n".join(report_lines(report))
    assert all(f"  {name}: " in text for name in ("one", "two", "three"))


def test_what_is_missing_is_said_and_no_report_is_made_of_a_run_that_has_not_begun(finished: Path) -> None:
    full = len(run_report(finished).notes)
    shutil.rmtree(finished / "assessment")
    (finished / STATISTICS).unlink()
    bare = run_report(finished)
    assert (bare.test, bare.baseline) == (None, None)
    assert len(bare.notes) == full + 1, "no hospital had enough test patients"
    (finished / WEIGHTS).write_bytes(b"damaged")
    assert len(run_report(finished).notes) == full + 2
    agreement = load(finished / FILE_NAME)
    save(agreement.changed({"training.test_fraction": "0.0"}), finished / FILE_NAME)
    assert page(run_report(finished))
    (finished / JOURNAL).unlink()
    with pytest.raises(StateError):
        run_report(finished)


def test_damaged_sums_are_an_error_that_names_the_file(finished: Path) -> None:
    (finished / STATISTICS).write_bytes(b"damaged")
    with pytest.raises(UnreadableFileError):
        run_report(finished)
