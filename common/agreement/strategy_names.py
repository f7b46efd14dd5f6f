"""Names of strategies that a federation file can give, the product's and those registered."""

import re

from common.agreed import NameOf
from common.errors import RegistrationError
from common.plugins.names import note_name

STRATEGIES = ("fedavg", "fedprox", "fedadam", "fedyogi")
"""The strategies of the product."""


PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"


_names: dict[str, None] = dict.fromkeys(STRATEGIES)
"""The names in the order of their registration."""


def add_strategy_name(name: str) -> None:
    """Let federation files that are read in this process name a strategy.

    Raises:
        RegistrationError: if the name has not the form of one.
    """
    if not re.fullmatch(PATTERN, name):
        form = "lower case, with digits, _ and - after its first letter"
        raise RegistrationError(f"strategy {name!r}", "has not the form of a name", f"make it {form}")
    if name not in _names:
        _names[name] = None
        note_name(NameOf.STRATEGY, name)


def strategy_names() -> tuple[str, ...]:
    """The names known in this process, those of the product first."""
    return tuple(_names)
