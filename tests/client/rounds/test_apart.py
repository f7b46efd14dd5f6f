import logging
from typing import TYPE_CHECKING

import pytest

from client.doctor.examination import CHECKS
from client.doctor.finding import run_checks
from client.site_folder.apart import read_far
from client.site_folder.places import Home
from common.errors import RefusalCode, UnreadableFileError
from common.messages.exchange import RefusalReply, TrainReply
from common.patients.compared import quantities

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def test_far_columns_are_in_log_note_and_doctor_under_the_hospitals_own_names(
    hospital: "Hospital", caplog: pytest.LogCaptureFixture
) -> None:
    home = Home(hospital.folder)
    number = len(quantities(hospital.federation)) - 1
    with caplog.at_level(logging.WARNING, "consilium.site"):
        TrainReply.from_record(hospital.ask("train", hospital.request(round=1, far=[number]).to_record()))
    note = read_far(home)
    assert note is not None
    (column,) = note.columns
    assert column.startswith("outcomes.csv: ")
    assert column in caplog.text
    assert home.far.stat().st_mode & 0o077 == 0
    (finding,) = run_checks([check for check in CHECKS if check[0] == "comparison"], home)
    assert (finding.level, finding.code) == ("warn", "columns-far")
    assert column in finding.message
    hospital.ask("train", hospital.request(round=1).to_record())
    assert read_far(home) is None
    (finding,) = run_checks([check for check in CHECKS if check[0] == "comparison"], home)
    assert finding.level == "ok"


@pytest.mark.parametrize("far", [[10_000], [0, 0]])
def test_a_number_that_names_no_quantity_is_refused(hospital: "Hospital", far: list[int]) -> None:
    reply = hospital.ask("train", hospital.request(round=1, far=far).to_record())
    assert RefusalReply.from_record(reply).code is RefusalCode.REQUEST_INVALID
    assert read_far(Home(hospital.folder)) is None


def test_a_damaged_note_is_named_and_written_anew(hospital: "Hospital") -> None:
    home = Home(hospital.folder)
    home.far.parent.mkdir(exist_ok=True)
    home.far.write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableFileError):
        read_far(home)
    hospital.ask("train", hospital.request(round=1, far=[0]).to_record())
    assert read_far(home) is not None
