"""Parameters of a command made from the fields of `Options`."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from common.errors import OptionError
from simulations.experiment.options import Options, option_fields


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a simulation, and hand them to it as its first argument."""
    types = get_type_hints(Options)
    added = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=False if types[name] is bool else None,
            annotation=Annotated[_typed(types[name]), option],
        )
        for name, option in option_fields()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        chosen = {parameter.name: given.pop(parameter.name) for parameter in added}
        chosen["epsilons"] = tuple(chosen["epsilons"] or ())
        chosen["subgroups"] = tuple(chosen["subgroups"] or ())
        chosen["settings"] = parse_settings(chosen["settings"] or ())
        command(Options(**chosen), **given)

    _, *others = signature(command).parameters.values()
    others = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in others]
    parameters = {parameter.name: parameter for parameter in (*others, *added)}
    run.__signature__ = signature(command).replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()} | {
        "return": None
    }
    return run


def _typed(hint: Any) -> Any:
    """Return a field's type for the command line.

    A sequence or a mapping becomes an option that can be repeated, and a path is never text.
    """
    if Path in get_args(hint):
        return Path | None
    if get_origin(hint) is Sequence:
        return list[str] | None if get_args(hint) == (str,) else list[float] | None
    if get_origin(hint) is Mapping:
        return list[str] | None
    return str | None if any(get_origin(part) is Literal for part in get_args(hint)) else hint


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """Read texts KEY=VALUE into settings."""
    settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise OptionError(
                f"--set {text}", "is not KEY=VALUE", "write for instance --set training.rounds=20"
            )
        settings[key] = value
    return settings
