from collections.abc import Callable

import pytest
from click.testing import Result as Ended

from common.extras import EXTRAS

Consilium = Callable[..., Ended]


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
