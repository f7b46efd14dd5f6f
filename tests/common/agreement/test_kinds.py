"""A kind of record has a name of its own in federation files."""

import pytest

from common.agreement import kinds
from common.agreement.agreement import PATIENTS
from common.agreement.kinds import Kind, kind_named, register_kind
from common.errors import RegistrationError

OTHER = Kind("lab:Agreement", "lab:FAMILY", "lab:READER")


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "_KINDS", dict(kinds._KINDS))


def test_the_same_kind_may_be_registered_again() -> None:
    register_kind("readings", OTHER)
    register_kind("readings", OTHER)
    assert kind_named("readings") == OTHER


@pytest.mark.parametrize("name", [PATIENTS, "", "a/b", "Readings", "two words"])
def test_a_name_that_is_taken_or_of_another_form_is_refused(name: str) -> None:
    before = dict(kinds._KINDS)
    with pytest.raises(RegistrationError):
        register_kind(name, OTHER)
    assert before == kinds._KINDS
