"""Simulation of a federation on this machine, called from Python."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, get_type_hints

from consilium.result import Result
from consilium.wording import in_python_words
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort
from simulations.engines.names import Engine
from simulations.experiment.options import ExperimentOptions, Options, python_help
from simulations.simulate import resume as run_again
from simulations.simulate import simulate as run

P = ParamSpec("P")


def cohort(
    name_or_folder: str | Path = "lung",
    data: Path | str | None = None,
    *,
    seed: int = 0,
    hospitals: int | None = None,
    patients: int | None = None,
    out: Path | str | None = None,
) -> CohortFolder:
    """Open a cohort: a federation file and one site folder per hospital.

    Args:
        name_or_folder: the name of a cohort, such as "lung" or "synthetic", or a folder of your own.
        data: folder of the public data sets; without it, `$CONSILIUM_DATA`.
        seed: of folds where none are published, and of made-up patients.
        hospitals: number of hospitals, for the cohort "synthetic" only.
        patients: patients of each hospital, for the cohort "synthetic" only.
        out: where to write a cohort by name; without it, a temporary folder that is removed with the object.

    Returns:
        The cohort; `cohort.table()` counts the patients of every hospital.

    Raises:
        InputError: for an unknown cohort, missing data, or a folder without a federation file.

    Example:
        >>> cohort = consilium.cohort("synthetic", hospitals=4, patients=60)
        >>> cohort.table()
    """
    with in_python_words():
        return open_cohort(
            name_or_folder, data=data, seed=seed, hospitals=hospitals, patients=patients, out=out
        )


def _with_options(
    options: Callable[P, Options],
) -> Callable[
    [Callable[[CohortFolder | str | Path, Options], Result]],
    Callable[Concatenate[CohortFolder | str | Path, P], Result],
]:
    """Give a function the options of a simulation as keywords, documented by their help."""

    def decorate(
        function: Callable[[CohortFolder | str | Path, Options], Result],
    ) -> Callable[Concatenate[CohortFolder | str | Path, P], Result]:
        def call(cohort: CohortFolder | str | Path, /, *args: P.args, **kwargs: P.kwargs) -> Result:
            _check_names(function.__name__, len(args), kwargs, options)
            with in_python_words():
                return function(cohort, options(*args, **kwargs))

        call.__name__ = call.__qualname__ = function.__name__
        call.__module__ = function.__module__
        call.__signature__ = _signature(function, options)  # type: ignore[attr-defined]
        call.__doc__ = (function.__doc__ or "").replace("        options: keywords.\n", _documented())
        return call

    return decorate


def _check_names(
    function: str, positional: int, given: Mapping[str, object], options: Callable[..., Options]
) -> None:
    """Refuse an unknown keyword and a second positional argument, in the function's name."""
    if positional:
        raise TypeError(f"{function}() takes the cohort alone without a keyword: name the options")
    keywords = list(inspect.signature(options).parameters)
    for name in given:
        if name not in keywords:
            close = get_close_matches(name, keywords, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"the options are {', '.join(keywords)}"
            raise TypeError(f"{function}() has no option {name!r}: {hint}")


def _signature(function: Callable[..., Result], options: Callable[..., Options]) -> inspect.Signature:
    """Describe a call with the options of a simulation as keywords after its first parameter."""
    types = get_type_hints(options)
    first = next(iter(inspect.signature(function).parameters.values()))
    others = inspect.signature(options).parameters.values()
    parameters = [first.replace(kind=first.POSITIONAL_ONLY)]
    parameters += [parameter.replace(annotation=types[parameter.name]) for parameter in others]
    return inspect.Signature(parameters, return_annotation=Result)


def _documented() -> str:
    """The options as lines of a docstring."""
    lines = [f"        {name}: {sentence}" for name, sentence in python_help()]
    lines.append(
        '        progress: True, False, or "auto", which shows progress in a notebook or a terminal alone.'
    )
    return "\n".join(lines) + "\n"


@_with_options(Options)
def simulate(cohort: CohortFolder | str | Path, options: Options) -> Result:
    """Train hospitals together, alone and pooled, beside classical models, and compare them.

    Nothing is written without `out`. Threads of torch and the environment are afterwards as they
    were before the call.

    Args:
        cohort: an opened cohort, a cohort's name, or a folder.
        options: keywords.

    Returns:
        The figures of every arm; with `out` also in files.

    Raises:
        InputError: for anything the caller can mend; nothing is written then.
        RunFailed: if too few hospitals could train; nothing is written then.

    Example:
        >>> result = consilium.simulate("lung", fold=0, rounds=10)
        >>> result.table()
    """
    if isinstance(cohort, CohortFolder):
        return _simulated(cohort, options)
    with open_cohort(cohort, seed=options.seed or 0) as opened:
        return _simulated(opened, options)


def _simulated(cohort: CohortFolder, options: Options) -> Result:
    command = options.command_line(cohort.origin.cohort)
    done = run(cohort, ExperimentOptions.completed(options, command))
    return Result(done.result, done.evidence)


def resume(
    out: str | Path,
    *,
    rounds: int | None = None,
    engine: Engine | None = None,
    device: str | None = None,
    progress: bool | Literal["auto"] = "auto",
) -> Result:
    """Go on with an interrupted simulation, or continue a finished one with more rounds.

    An interrupted simulation ends with the same weights and figures as one that was not interrupted. More rounds go on
    from the last weights of every run; the learning rate falls as half a cosine over the new number of rounds, so that
    the result is a continuation and not that of so many rounds from the start.

    Args:
        out: the folder of the simulation.
        rounds: number of rounds in all, more than the finished simulation had.
        engine: another engine than before; all give the same weights.
        device: another device than before.
        progress: True, False, or "auto", which shows progress in a notebook or a terminal alone.

    Returns:
        The figures of every arm.

    Raises:
        InputError: if there is nothing to resume, tables or settings have changed, or a checkpoint is damaged.
        RunFailed: if too few hospitals could train.

    Example:
        >>> consilium.resume("out")
        >>> consilium.resume("out", rounds=60)
    """
    with in_python_words():
        done = run_again(Path(out), rounds, engine, device, progress)
    return Result(done.result, done.evidence)
