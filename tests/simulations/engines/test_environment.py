import os

import pytest

from simulations.engines.environment import environment_set


def test_variables_are_set_and_removed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "as it was")
    monkeypatch.setenv("REMOVED", "7")
    monkeypatch.delenv("NEW", raising=False)
    with environment_set({"KEPT": "changed", "NEW": "1"}, without=("REMOVED", "NEVER_THERE")):
        assert (os.environ["KEPT"], os.environ["NEW"]) == ("changed", "1")
        assert "REMOVED" not in os.environ
    assert (os.environ["KEPT"], os.environ["REMOVED"]) == ("as it was", "7")
    assert "NEW" not in os.environ
    assert "NEVER_THERE" not in os.environ


def test_variables_are_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "as it was")
    with pytest.raises(RuntimeError), environment_set({"KEPT": "changed"}):
        raise RuntimeError
    assert os.environ["KEPT"] == "as it was"


def test_a_variable_may_be_set_that_is_also_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNED", "7")
    with environment_set({"TUNED": "8"}, without=("TUNED",)):
        assert os.environ["TUNED"] == "8"
    assert os.environ["TUNED"] == "7"
