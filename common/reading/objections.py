"""Objections of a schema in words, with remedies and without the values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import InvalidContentError, escaped

if TYPE_CHECKING:  # the commands start without pydantic
    from pydantic import ValidationError

Location = tuple[int | str, ...]
"""Keys and positions in lists that lead to a value, as pydantic gives them."""

UNKNOWN = "extra_forbidden"
"""Type of an objection to a key that is not known."""

MISSING = "missing"
"""Type of an objection to a key that is not there."""

FORM = "string_pattern_mismatch"
"""Type of an objection to a text of another form."""

TOO_FEW = "too_short"
"""Type of an objection to a list with too few entries."""


@dataclass(frozen=True)
class Objection:
    """Objection of a schema at one place.

    Attributes:
        location: keys and positions that lead to the value.
        type: of the objection, as pydantic names it.
        what: is wrong.
        remedy: what to do.
    """

    location: Location
    type: str
    what: str
    remedy: str

    @property
    def key(self) -> str:
        """The location as a dotted key."""
        return escaped(".".join(str(part) for part in self.location)) or "the whole file"


def objections(error: "ValidationError") -> list[Objection]:
    """Everything that a schema objects to, escaped where it is not printable."""
    return [_objection(line) for line in error.errors(include_input=False, include_url=False)]


def _objection(line: Mapping[str, Any]) -> Objection:
    kind, location, context = line["type"], line["loc"], line.get("ctx", {})
    if kind == "value_error":
        # pydantic puts the name of the Python exception before the sentence of a validator of this product
        what, remedy = line["msg"].removeprefix("Value error, "), "correct it"
    elif "remedy" in context:
        what, remedy = context["what"], context["remedy"]
    elif kind == MISSING and location and isinstance(location[-1], int):
        what, remedy = "has too few entries", "add the others"
    elif kind in _WORDS:
        what, remedy = _WORDS[kind]
    elif kind in _BOUNDS:
        what, remedy = _BOUNDS[kind](context)
    else:
        what, remedy = line["msg"][:1].lower() + line["msg"][1:], "correct it"
    return Objection(location, kind, escaped(what), escaped(remedy))


_WHOLE = "is no whole number", "write a whole number, without quotation marks or a point"
_NUMBER = "is no number", "write a number, without quotation marks or unit"
_SWITCH = "is neither true nor false", "write true or false, without quotation marks"
_LIST = "is no list", "write it in brackets, such as [1, 2]"
_TABLE = "is no table of keys", "write it with keys, such as { low = 0, high = 1 }, or under a [heading]"
_WORDS = {
    MISSING: ("is missing", "add it"),
    UNKNOWN: ("is no key that is known here", "remove it, or correct its name"),
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": ("is not finite", "write a number"),
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "string_type": ("is no text", "put it in quotation marks"),
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
}
"""Words for the commonest objections and their remedies, by pydantic's name of them."""


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number} entries"


_BOUNDS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "greater_than": lambda bound: ("is too small", f"write a number above {bound['gt']:g}"),
    "greater_than_equal": lambda bound: ("is too small", f"write {bound['ge']:g} or more"),
    "less_than": lambda bound: ("is too large", f"write a number below {bound['lt']:g}"),
    "less_than_equal": lambda bound: ("is too large", f"write {bound['le']:g} or less"),
    "literal_error": lambda bound: (
        f"is none of {bound['expected'].replace(chr(39), '')}",
        f"write {bound['expected'].replace(chr(39), chr(34))}",
    ),
    FORM: lambda bound: (
        f"has not the form {bound['pattern']}",
        "write it in letters that the form allows",
    ),
    "string_too_long": lambda bound: (f"has more than {bound['max_length']} characters", "shorten it"),
    "string_too_short": lambda bound: ("is empty", "write a text"),
    "too_long": lambda bound: (f"has more than {_entries(bound['max_length'])}", "remove the others"),
    TOO_FEW: lambda bound: (f"has fewer than {_entries(bound['min_length'])}", "add what is missing"),
}
"""Words for objections to a size or a form, with the bound that a value is beyond."""


def first_problem(error: "ValidationError") -> tuple[str, str]:
    """Key and message of the first thing a schema objects to, without the value."""
    first = objections(error)[0]
    return first.key, first.what


def invalid_content(where: str, error: "ValidationError", remedy: str = "") -> InvalidContentError:
    """The first thing that a schema objects to, as an error of the file `where`.

    Without a remedy, that of the objection stands.
    """
    first = objections(error)[0]
    return InvalidContentError(f"{where}, {first.key}", first.what, remedy or first.remedy)
