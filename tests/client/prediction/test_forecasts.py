import os
import stat
from pathlib import Path

import pytest

from client.prediction.forecast import PatientForecast
from client.prediction.forecasts import Forecasts
from common.agreement.display_names import DisplayNames
from common.errors import OptionError
from tests.client.prediction.page.made import forecasts


def test_model_use_and_warnings_stand_before_every_number() -> None:
    patient = PatientForecast(patient="p", observed={"clinical": 1.0}, tasks={})
    made = Forecasts(
        version="lung-1", federation="ab" * 32, checked=True, warnings=("look",), patients=(patient,)
    )
    first, warning, empty, *_ = made.lines()
    assert "lung-1" in first
    assert "research use" in first
    assert "Calibrated at this hospital: no" in first
    assert (warning, empty) == ("WARNING look", "")


def test_pages_go_into_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    made = forecasts()
    out = tmp_path / "page.html"
    out.write_text("older")
    out.chmod(0o644)
    made.to_html(out)
    assert out.read_text() == made.html()
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_no_link_folder_or_device_is_replaced_by_pages(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for path in (tmp_path, tmp_path / "link", os.devnull):
        with pytest.raises(OptionError):
            forecasts().to_html(path)


def test_json_has_what_a_page_has() -> None:
    names = DisplayNames(columns={"clinical": {"age": "Age at diagnosis"}})
    made = forecasts(warnings=("look",), display_names=names)
    assert Forecasts.model_validate_json(made.model_dump_json()).html() == made.html()


def test_text_and_page_use_display_names_and_json_keeps_the_tables_names() -> None:
    names = DisplayNames(
        modalities={"rna": "Gene expression"},
        tasks={"survival": "Overall survival"},
        columns={"clinical": {"age": "Age at diagnosis", "smoking": "Tobacco"}},
        levels={"clinical": {"stage": {"III": "third stage"}, "smoking": {"never": "never smoked"}}},
        outcomes={"response": {"yes": "Complete response"}, "toxicity": {"gut": "Colitis"}},
    )
    made = forecasts(display_names=names)
    text = "\n".join(made.lines())

    for shown in (text, made.html()):
        assert "Gene expression" in shown
        assert "Overall survival" in shown
        assert "Age at diagnosis" in shown
        assert "third stage" in shown
        assert "never smoked" in shown
        assert "Complete response" in shown
        assert "Colitis" in shown
    plain = forecasts().model_dump(mode="json")
    assert made.model_dump(mode="json", exclude={"display_names"}) == plain
    assert "display_names" not in plain
