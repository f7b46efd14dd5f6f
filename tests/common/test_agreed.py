from unicodedata import normalize

import pytest
from pydantic import TypeAdapter, ValidationError

from common.agreed import HospitalName, one_spelling

NAME: TypeAdapter[str] = TypeAdapter(HospitalName)


@pytest.mark.parametrize("name", ["Hôpital Général", "病院", "Больница №1", "St. Mary's", "UMCU-1"])
def test_a_name_has_one_spelling(name: str) -> None:
    for spelling in (normalize("NFC", name), normalize("NFD", name), f" {name}\u00a0"):
        assert one_spelling(spelling) == one_spelling(name) == NAME.validate_python(spelling)


def test_names_that_are_not_read_alike_stay_apart() -> None:
    assert len({one_spelling(name) for name in ("UMCU 1", "UMCU-1", "umcu 1", "UMCU1")}) == 4


@pytest.mark.parametrize("name", ["", "  ", "n" * 121])
def test_a_name_is_there_and_short(name: str) -> None:
    with pytest.raises(ValidationError):
        NAME.validate_python(name)


def test_what_commands_a_terminal_is_no_blank() -> None:
    assert one_spelling("north\n") == "north\n"
