"""Report of a run at a hospital: its sources, what it says of few patients, and that no patient is in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.commands.adopt import adopt, read_adoption
from client.commands.report import report_into
from client.reports.lines import report_lines
from client.reports.page import page
from client.reports.report import site_report
from client.rounds.kept_model import kept_runs, read_kept_model
from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, load
from common.errors import OptionError, StateError
from common.messages.exchange import ASSESSMENT
from tests.client.conftest import CANARIES, Hospital
from tests.released import Coordinator


@pytest.fixture
def adopted(approved: Home, proposal: Path) -> Home:
    """A site that adopted the release of a run that it had a part in."""
    made = Coordinator(proposal, load(proposal / FILE_NAME), ("north",))
    approved.authority.write_bytes(made.authority.read_bytes())
    adopt(approved, read_adoption(approved, made.write()))
    return approved


def test_without_a_model_there_is_no_report(approved: Home) -> None:
    with pytest.raises(StateError):
        site_report(approved)
    with pytest.raises(OptionError):
        site_report(approved, run=17)


def test_of_few_patients_no_figure_is_given_and_nobody_is_in_report_or_page(
    adopted: Home, hospital: Hospital, everything_logged: Callable[[], str]
) -> None:
    report, path = report_into(adopted, None, is_own=True, html=None)
    assert (report.site, report.run) == ("north", None)
    assert report.version is not None
    assert report.records == 3
    assert report.beside or report.notes
    assert all(both.records is None for both in report.beside)
    assert path.parent == adopted.folder / "reports"
    assert path.stat().st_mode & 0o077 == 0
    said = [report.model_dump_json(), path.read_text(), "\n".join(report_lines(report)), everything_logged()]
    assert not [canary for canary in CANARIES for text in said if canary in text]


def test_the_hospitals_own_patients_stand_beside_all_hospitals(adopted: Home) -> None:
    report = site_report(adopted, is_own=False)
    assert report.beside == ()
    rows = {row.label: row for row in report.baseline}
    assert rows["age"].ours is not None
    assert rows["age"].ours.patients == 9
    assert rows["age"].everyone is not None
    assert 'id="patients"' in page(report)


def test_the_model_that_a_run_keeps_is_kept_at_the_hospital(hospital: Hospital, counted: None) -> None:
    request = hospital.assessment()
    hospital.ask(ASSESSMENT, request.to_record(), same_run=True)
    home = Home(hospital.folder)
    (run,) = kept_runs(home)
    assert run == hospital.run.run_id
    kept = read_kept_model(home, run)
    assert kept is not None
    assert kept.federation == hospital.federation.digest
    assert all(np.array_equal(kept.weights[name], array) for name, array in request.weights.items())
    assert set(kept.preprocessing) == set(request.preprocessing)
    assert read_kept_model(home, run + 1) is None
