from collections.abc import Callable

import pytest
from click.testing import Result as Ended

from common.errors import InputCode
from simulations.extras import EXTRAS, MissingExtra, require_extra

Consilium = Callable[..., Ended]


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


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("simulate",), "simulate"),
        (("privacy", "audit"), "simulate"),
        (("privacy", "plan", "--out", "plan.svg"), "simulate"),
        (("bench", "train"), "dev"),
    ],
)
def test_a_command_without_its_extra_says_what_to_install(
    words: tuple[str, ...], extra: str, consilium: Consilium, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXTRAS, extra, ("no_such_module",))
    ended = consilium(*words)
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert f"pip install 'consilium[{extra}]'" in ended.stderr
    assert consilium(*words, "--help").exit_code == 0
