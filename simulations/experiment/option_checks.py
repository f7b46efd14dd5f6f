"""Checks of the values of options: a call from Python passes no parser of a command line.

An error names the option as the command line does.
"""

from collections.abc import Iterable, Mapping
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

from typer.models import OptionInfo

from common.errors import OptionError


def check_numbers(where: str, values: Any) -> None:
    """Refuse what is not a sequence of numbers.

    Raises:
        InputError: naming the option.
    """
    if isinstance(values, Real):
        raise OptionError(f"{where} {values}", "is a number alone", f"give a sequence, such as [{values}]")
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(where, "is not a sequence of numbers", "give one such as [8, 1]")
    if not all(isinstance(value, Real) and not isinstance(value, bool) for value in values):
        raise OptionError(where, "holds something else than numbers", "give numbers, such as [8, 1]")


def check_texts(where: str, values: Any) -> None:
    """Refuse what is not a sequence of texts.

    Raises:
        InputError: naming the option.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise OptionError(where, "is not a sequence of names", 'give one such as ["stage"]')
    if not all(isinstance(value, str) for value in values):
        raise OptionError(where, "holds something else than names", 'give names, such as ["stage"]')


def check_mapping(where: str, values: Any) -> None:
    """Refuse what is not a mapping.

    Raises:
        InputError: naming the option.
    """
    if not isinstance(values, Mapping):
        what = "is not a mapping from names of settings to values"
        raise OptionError(where, what, 'give one such as {"training.rounds": 20}')


def as_path(where: str, value: Any) -> Path:
    """Return a path that may be given as text.

    Raises:
        InputError: naming the option, for anything else.
    """
    if not isinstance(value, str | PathLike):
        raise OptionError(f"{where} {value}", "is not the path of a folder", "name a folder")
    return Path(value)


def check_bounds(name: str, value: Any, option: OptionInfo) -> None:
    """Refuse a number beyond an option's bounds.

    Raises:
        InputError: naming the option.
    """
    if value is None or (option.min is None and option.max is None):
        return
    where = f"--{name} {value}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(where, "is not a whole number", "give one")
    if option.min is not None and value < option.min:
        raise OptionError(where, f"is below {option.min:g}", "give a larger number")
    if option.max is not None and value > option.max:
        raise OptionError(where, f"is above {option.max:g}", "give a smaller number")
