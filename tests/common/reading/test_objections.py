"""Objections of a schema as a person reads them."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.errors import InvalidContentError
from common.reading.objections import first_problem, invalid_content, objections


class Person(BaseModel):
    """A schema with a nested key."""

    ages: dict[str, int]


def objection(data: object) -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        Person.model_validate(data)
    return raised.value


def test_the_first_objection_of_a_schema_names_its_key_and_no_value() -> None:
    error = objection({"ages": {"one": "CANARY-8371", "two": "CANARY-8371"}})
    key, message = first_problem(error)
    assert key == "ages.one"
    invalid = invalid_content("people.toml", error)
    assert (type(invalid), invalid.where, invalid.what) == (
        InvalidContentError,
        "people.toml, ages.one",
        message,
    )
    assert "CANARY" not in str(invalid)


def test_an_objection_to_the_whole_file_says_so_and_cannot_move_a_cursor() -> None:
    assert first_problem(objection([]))[0] == "the whole file"
    assert first_problem(objection({"ages": {"\x1b[2J": "x"}}))[0] == r"ages.\x1b[2J"


class Even(BaseModel):
    """A schema with a validator that words its objection."""

    number: int

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("is odd")
        return number


def test_the_sentence_of_a_validator_is_handed_on_as_it_is() -> None:
    with pytest.raises(ValidationError) as raised:
        Even.model_validate({"number": 3})
    assert first_problem(raised.value) == ("number", "is odd")


class Settings(BaseModel):
    """A schema with a bound of every kind."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    whole: int = Field(default=1, ge=1, le=5)
    share: float = Field(default=0.5, gt=0, lt=1)
    switch: bool = True
    text: str = Field(default="a", max_length=2, min_length=1, pattern="^[a-z]*$")
    choice: Literal["one", "two"] = "one"
    ends: tuple[float, float] | None = None
    names: tuple[str, ...] = Field(default=("a",), min_length=1)
    part: Even = Even(number=2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"whole": "CANARY"}, "whole number"),
        ({"whole": 0}, "1 or more"),
        ({"whole": 6}, "5 or less"),
        ({"share": 0}, "above 0"),
        ({"share": 1}, "below 1"),
        ({"share": float("nan")}, "number"),
        ({"switch": "CANARY"}, "true or false"),
        ({"text": 1}, "quotation marks"),
        ({"text": "CANARY"}, "shorten"),
        ({"text": ""}, "write a text"),
        ({"text": "1"}, "form"),
        ({"choice": "CANARY"}, '"one" or "two"'),
        ({"ends": [1]}, "add the others"),
        ({"ends": 1}, "brackets"),
        ({"names": []}, "add what is missing"),
        ({"part": 3}, "heading"),
        ({"other": 1}, "correct its name"),
    ],
)
def test_every_objection_has_a_remedy_and_no_value(data: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings.model_validate(data)

    first, *others = objections(raised.value)

    assert not others
    assert words in first.remedy
    assert "CANARY" not in f"{first.what} {first.remedy}"
