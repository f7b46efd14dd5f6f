from pathlib import Path

import pytest
from flwr.app import UserConfig

from common.errors import OptionError, StateError
from server.home.places import HOME_VARIABLE
from server.home.run_folder import run_folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A coordinator's folder with a run, and with something outside `runs` to lead to."""
    (tmp_path / "home" / "runs" / "20261121-101500-2").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home" / "runs" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "home" / "runs" / "file").write_text("")
    return tmp_path / "home"


def test_a_run_is_found_by_its_name_alone(home: Path) -> None:
    found = run_folder({"run": "20261121-101500-2"}, {HOME_VARIABLE: str(home)})
    assert found == home / "runs" / "20261121-101500-2"


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"run": ""},
        {"run": "."},
        {"run": ".."},
        {"run": "../runs/20261121-101500-2"},
        {"run": "20261121-101500-2/"},
        {"run": "20261121-101500-2\n"},
        {"run": "/etc"},
        {"run": "none"},
        {"run": "link"},
        {"run": "file"},
        {"run": 7},
    ],
)
def test_no_other_name_leads_anywhere(home: Path, config: UserConfig) -> None:
    with pytest.raises(OptionError) as refused:
        run_folder(config, {HOME_VARIABLE: str(home)})
    assert refused.value.where.endswith(", run")
    assert "`consilium coordinator run`" in refused.value.remedy


def test_a_service_that_was_started_otherwise_says_so() -> None:
    with pytest.raises(StateError) as refused:
        run_folder({"run": "20261121-101500"}, {})
    assert refused.value.where == HOME_VARIABLE
