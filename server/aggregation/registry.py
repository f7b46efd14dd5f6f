"""Strategies by the name that a federation file gives as `training.strategy`."""

from collections.abc import Callable

from common.agreement.settings import Training
from common.agreement.strategy_names import STRATEGIES, add_strategy_name
from common.errors import InvalidContentError, RegistrationError
from server.aggregation.strategies import FedAdam, FedAvg, FedYogi, Strategy

StrategyFactory = Callable[[Training], Strategy]
"""Makes the strategy of a run, whole, from the section `[training]`."""


_FACTORIES: dict[str, StrategyFactory] = {
    "fedavg": lambda training: FedAvg(),
    "fedprox": lambda training: FedAvg(),  # the hospitals add the proximal term
    "fedadam": lambda training: FedAdam(training.server_learning_rate),
    "fedyogi": lambda training: FedYogi(training.server_learning_rate),
}


_MEMORY = ("memory", "remember")
"""Methods of a strategy that keeps state from round to round."""


def register_strategy(name: str, factory: StrategyFactory) -> None:
    """Let federation files name a strategy.

    Args:
        name: as in `training.strategy`: lower case, digits, `_` and `-`, and no strategy's name yet.
        factory: called once a run.

    Raises:
        RegistrationError: if the name has another form, or is that of another factory; if the factory cannot be
            called, or is a class without the methods of a strategy.
    """
    where = f"strategy {name}"
    if not callable(factory):
        raise RegistrationError(where, "has a factory that cannot be called", "give a function of `Training`")
    if isinstance(factory, type) and (lacking := _lacking(factory)):
        raise RegistrationError(where, f"has no method {lacking}", "add it")
    if _FACTORIES.get(name, factory) is not factory:
        raise RegistrationError(where, "is registered already", "choose another name")
    add_strategy_name(name)
    _FACTORIES[name] = factory


def registered_strategies() -> tuple[str, ...]:
    """The names that `make_strategy` knows, in the order they were registered."""
    return tuple(_FACTORIES)


def make_strategy(training: Training) -> Strategy:
    """The strategy that a federation file names, for one run.

    Raises:
        InvalidContentError: if no strategy of that name is registered here, or its factory makes no strategy.
    """
    require_registered(training)
    strategy = _FACTORIES[training.strategy](training)
    if lacking := _lacking(strategy):
        what = f"the strategy {training.strategy} has no method {lacking}"
        raise InvalidContentError("training.strategy", what, "correct the strategy, or use another")
    return strategy


def _lacking(strategy: object) -> str | None:
    """The first method that a strategy lacks; half a memory would be lost when a run is resumed."""
    methods = ["next_weights"]
    if any(hasattr(strategy, name) for name in _MEMORY):
        methods += _MEMORY
    return next((name for name in methods if not callable(getattr(strategy, name, None))), None)


def require_registered(training: Training) -> None:
    """Make sure, before anything runs, that the strategy of a federation file is registered.

    Raises:
        InvalidContentError: if it does not.
    """
    if training.strategy not in _FACTORIES:
        what = f"there is no strategy {training.strategy} here"
        raise InvalidContentError("training.strategy", what, f"use one of {', '.join(_FACTORIES)}")


assert set(STRATEGIES) <= set(_FACTORIES)
