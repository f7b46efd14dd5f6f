"""A hospital validates the adopted release, and neither a patient nor a date leaves."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from client.commands.adopt import adopt, read_adoption
from client.commands.validate import JSON, PAGE
from client.site_folder.places import Home
from client.validate_cli import validate_app
from client.validation.report import ValidationReport
from common.agreement.federation import FILE_NAME, load
from tests.client.conftest import PATIENTS, Hospital
from tests.released import Coordinator

DATE = "2019-03-17"


@pytest.fixture
def adopted(approved: Home, proposal: Path, hospital: Hospital) -> Home:
    """A site without a part in the run, whose patients have dates."""
    made = Coordinator(proposal, load(proposal / FILE_NAME), ("south",))
    approved.authority.write_bytes(made.authority.read_bytes())
    adopt(approved, read_adoption(approved, made.write()))
    hospital.site.outcomes["diagnosed"] = DATE
    hospital.site.site["date"] = "diagnosed"
    hospital.write()
    return approved


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(validate_app, list(words))
    return result.exit_code, result.output


def test_figures_are_printed_and_written_for_the_owner_alone(
    adopted: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("validation") / "new"
    code, text = run(str(adopted.folder), "--horizon", "9", "--threshold", ".2", "--out", str(out))
    assert code == 0
    report = ValidationReport.model_validate_json((out / JSON).read_text())
    assert (report.release, report.records, report.setting) == ("test-1", PATIENTS, "external")
    survival, response, toxicity = report.tasks
    (by,) = survival.outcomes[0].horizons
    assert by.horizon == 9
    assert [decision.threshold for decision in response.outcomes[0].horizons[0].decisions] == [0.2]
    assert toxicity.outcomes[0].horizons[0].events is None  # nobody had it
    assert "external: " in text
    page = (out / PAGE).read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for path in out.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_patient_and_no_date_is_in_any_output_or_message(
    adopted: Home,
    hospital: Hospital,
    tmp_path_factory: pytest.TempPathFactory,
    everything_logged: Callable[[], str],
) -> None:
    out = tmp_path_factory.mktemp("validation")
    code, text = run(str(adopted.folder), "--since", "2019-01-01", "--horizon", "9", "--out", str(out))
    assert code == 0
    hospital.evaluate()
    hospital.train(round=2)
    outputs = [text, everything_logged(), (out / JSON).read_text(), (out / PAGE).read_text()]
    state = [path.read_bytes() for path in hospital.state.rglob("*") if path.is_file()]
    for sign in (DATE, "20190317", "CANARY-8371"):
        assert not any(sign in output for output in outputs)
        assert sign.encode() not in hospital.wire
        assert not any(sign.encode() in content for content in state)
    assert json.loads((out / JSON).read_text())["since"] == "2019-01-01"


@pytest.mark.parametrize(
    "words",
    [
        ("--threshold", "1.5"),
        ("--threshold", "0"),
        ("--since", "01/02/2020"),
        ("--horizon", "900"),
        ("nowhere",),
        ("--since", "2030-01-01"),
    ],
)
def test_what_cannot_be_judged_is_refused_and_nothing_written(
    adopted: Home, tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...]
) -> None:
    out = tmp_path_factory.mktemp("validation") / "new"
    code, text = run(str(adopted.folder), *words, "--out", str(out))
    assert code == 2
    assert "Traceback" not in text
    assert not out.exists()


def test_no_file_of_the_site_is_replaced(adopted: Home) -> None:
    (adopted.folder / JSON).write_text("ours")
    code, _ = run(str(adopted.folder), "--out", str(adopted.folder))
    assert code == 2
    assert (adopted.folder / JSON).read_text() == "ours"


def test_without_a_release_there_is_nothing_to_judge(approved: Home) -> None:
    code, text = run(str(approved.folder))
    assert code == 2
    assert "adopt" in text
