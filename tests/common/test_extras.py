import pytest

from common.errors import InputCode
from common.extras import EXTRAS, MissingExtra, require_extra


def test_an_extra_that_is_there_is_not_asked_for() -> None:
    require_extra("simulate", "consilium simulate")


def test_an_extra_that_is_missing_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(EXTRAS, "simulate", ("json", "no_such_module"))
    with pytest.raises(MissingExtra) as caught:
        require_extra("simulate", "consilium simulate")
    assert (caught.value.extra, caught.value.where) == ("simulate", "consilium simulate")
    assert caught.value.code is InputCode.DEPENDENCY_MISSING
    assert "pip install 'consilium[simulate]'" in str(caught.value)
