"""Names of strategies that a federation file can give, the product's and those registered."""

import re
from collections.abc import Callable

from common.agreed import NameOf
from common.errors import RegistrationError
from common.plugins.names import note_name

STRATEGIES = ("fedavg", "fedprox", "fedadam", "fedyogi")
"""The strategies of the product."""


PATTERN = r"^[a-z][a-z0-9_-]{0,39}$"


UNKNOWN_STRATEGY = 10.0
"""Changes of a hospital by which a strategy from outside moves a weight at most in a round."""


_LARGEST_STEPS: dict[str, Callable[[float, float], float]] = {
    "fedavg": lambda rate, change: change,
    "fedprox": lambda rate, change: change,
    "fedadam": lambda rate, change: (
        2.35 * rate
    ),  # b1 = 0.9, b2 = 0.99: 0.1 / sqrt(0.01) / sqrt(1 - 0.81 / 0.99)
    "fedyogi": lambda rate, change: (
        10.5 * rate
    ),  # v falls to 0.99 v at most: 0.1 / 0.1 / (1 - 0.9 / sqrt(0.99))
}


def largest_step(name: str, rate: float, change: float) -> float:
    """Return the most by which a strategy moves a weight in one round.

    The moment estimates of `fedadam` and `fedyogi` are bounded by the Cauchy-Schwarz inequality, whatever the changes.

    Args:
        name: of the strategy.
        rate: the coordinator's learning rate.
        change: the most by which a hospital moves the weight in the round.
    """
    bound = _LARGEST_STEPS.get(name)
    return UNKNOWN_STRATEGY * change if bound is None else bound(rate, change)


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
