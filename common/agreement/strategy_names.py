"""Names of strategies that a federation file can give, the product's and those registered."""

import re

from common.plugins.loading import package_registering

STRATEGIES = ("fedavg", "fedprox", "fedadam", "fedyogi")
"""The strategies of the product."""


PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"


_names: dict[str, str | None] = dict.fromkeys(STRATEGIES)
"""Name -> the plug-in that brought it; None for those of the product."""


def add_strategy_name(name: str) -> None:
    """Let federation files that are read in this process name a strategy.

    Raises:
        ValueError: if the name has not the form of one.
    """
    if not re.fullmatch(PATTERN, name):
        raise ValueError("a strategy's name is lower case, with digits, _ and - after its first letter")
    _names.setdefault(name, package_registering())


def strategy_names() -> tuple[str, ...]:
    """The names known in this process, those of the product first."""
    return tuple(_names)


def strategy_package(name: str) -> str | None:
    """The plug-in that brought a strategy; None for those of the product."""
    return _names.get(name)
