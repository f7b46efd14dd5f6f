"""Errors of a call from Python, in its keywords instead of the options of a command.

Simulations are checked by the same code for both, which speaks of `--rounds 0`; from Python this is `rounds=0`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import InputError

_NAMES = {"epsilon": "epsilons", "set": "settings", "resume": "out"}
"""Option of a command -> keyword, where it is not the same word."""

_WHOLE = re.compile(r"--([a-z-]+) (?!and |or )(.+)")
_IN_TEXT = re.compile(r"(?<!\S)--([a-z][a-z-]*)(?: (\d[\w.-]*|serial|processes|ray)(?![^\s,;]))?")
_COMMAND = re.compile(r"(`[^`]*`)")


@contextmanager
def in_python_words() -> Iterator[None]:
    """Have bad input explained with the keywords of a call instead of a command's options."""
    try:
        yield
    except InputError as error:
        whole = _WHOLE.fullmatch(error.where)
        error.where = _keyword(whole[1], whole[2]) if whole else _in_text(error.where)
        error.what, error.remedy = _in_text(error.what), _in_text(error.remedy)
        error.args = (f"{error.where}: {error.what}; {error.remedy}.",)
        raise


def _in_text(text: str) -> str:
    """Replace the options in a sentence; a whole command in backticks stays as it is."""
    parts = _COMMAND.split(text)
    return "".join(
        part if part.startswith("`") else _IN_TEXT.sub(lambda match: _keyword(match[1], match[2]), part)
        for part in parts
    )


def _keyword(option: str, value: str | None) -> str:
    name = _NAMES.get(option, option.replace("-", "_"))
    if value is None:
        return name
    if name == "settings":
        return f'settings["{value}"]'
    return f"{name}=[{value}]" if name == "epsilons" else f"{name}={value}"
