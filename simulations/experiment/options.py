"""Options of a simulation, with the sentence, name and bounds that the command line shows.

The command line and the Python face both fill this class, so that an option is written once.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal, Self, get_args, get_type_hints

import typer
from typer.models import OptionInfo

from common.errors import OptionError
from simulations.engines.names import Engine
from simulations.experiment.option_checks import (
    as_path,
    check_bounds,
    check_mapping,
    check_numbers,
    check_texts,
)

Setting = str | int | float | bool
"""Value of a setting of the federation file."""


@dataclass(frozen=True)
class PythonHelp:
    """Help of an option for a call from Python, where the command line needs other words."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a simulation beside its cohort.

    A field that has a `typer.Option` is an option of `consilium simulate`; its help is its documentation.

    Attributes:
        progress: what is shown of the rounds: True for lines or a live display, False for nothing, "auto" for a
            display in a notebook or a terminal alone.

    Raises:
        InputError: for a value out of bounds, an unknown engine, or options that exclude each other.
    """

    rounds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Largest number of training rounds; without it, training.rounds of the federation file.",
        ),
    ] = None
    fold: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of the only fold to hold out for testing, from 0; without it, --folds decides.",
        ),
        PythonHelp("Number of the only fold to hold out for testing, from 0; without it, `folds` decides."),
    ] = None
    folds: Annotated[
        int | None,
        typer.Option(min=1, help="Hold out the first N folds for testing, in turn; without it, all folds."),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**31 - 1,
            help="Seed of splits, first weights and all random draws; without it, training.seed.",
        ),
    ] = None
    engine: Annotated[
        Engine | None,
        typer.Option(
            help="Engine that runs the hospitals: serial, processes or ray; all give the same weights. "
            "Without it, the size of the tables decides."
        ),
    ] = None
    epsilons: Annotated[
        Sequence[float],
        typer.Option(
            "--epsilon",
            help="Train also under patient-level differential privacy with this epsilon; repeat it for several.",
        ),
        PythonHelp(
            "Train also under patient-level differential privacy with each of these epsilons, as in [8, 1]."
        ),
    ] = ()
    delta: Annotated[
        float | None,
        typer.Option(
            help="Delta of the privacy guarantee of every --epsilon; without it, privacy.delta of the federation "
            "file, or 0.001 where the file has no privacy section."
        ),
        PythonHelp(
            "Delta of the privacy guarantee of all `epsilons`; without it, privacy.delta of the federation file, or "
            "0.001 where the file has no privacy section."
        ),
    ] = None
    settings: Annotated[
        Mapping[str, Setting],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a setting of the federation file, such as training.rounds=5; repeat it for several.",
        ),
        PythonHelp('Settings of the federation file to change, as in {"training.rounds": 5}.'),
    ] = field(default_factory=dict)
    federated_only: Annotated[
        bool,
        typer.Option(
            "--federated-only",
            help="Train the federation only: leave out the hospitals alone, the pooled data and the classical models.",
        ),
    ] = False
    subgroups: Annotated[
        Sequence[str],
        typer.Option(
            metavar="COLUMN",
            help="Judge the model also among the patients of every group of this column; repeat it for several. "
            "Hospital, sex and age are judged in any case.",
        ),
        PythonHelp(
            "Columns among whose groups of patients the model is judged too; hospital, sex and age are judged in any "
            "case."
        ),
    ] = ()
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Address of your own Ray cluster, for --engine ray; its machines must see the same folders. "
            "Never use one between hospitals: anyone who reaches the ports of Ray can run code there.",
        ),
        PythonHelp(
            'Address of your own Ray cluster, as in "host:6379", with engine="ray"; its machines must see the same '
            "folders. Never use one between hospitals: anyone who reaches the ports of Ray can run code there."
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            help="Device on which hospitals train: auto, cpu, cuda or cuda:N; without it, the device in site.toml."
        ),
    ] = None
    out: Annotated[
        Path | str | None,
        typer.Option(
            help="Folder to write result.json, report.html, weights and journals to; without it, no file is written."
        ),
    ] = None
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the result that the folder of --out holds."),
        PythonHelp("Replace the result that the folder of `out` holds."),
    ] = False
    final: Annotated[
        bool,
        typer.Option(
            "--final",
            help="Train the federation once more at the end, on all patients; its model goes to OUT/final, and no "
            "figure is about it.",
        ),
        PythonHelp(
            "Train the federation once more at the end, on all patients; its model goes to `out`/final, and no figure "
            "is about it."
        ),
    ] = False
    progress: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what no simulation can be made of; a path may be given as text."""
        if self.out is not None:
            object.__setattr__(self, "out", as_path("--out", self.out))
        check_numbers("--epsilon", self.epsilons)
        check_texts("--subgroups", self.subgroups)
        check_mapping("--set", self.settings)
        for name, option in option_fields():
            check_bounds(name, getattr(self, name), option)
        if self.engine not in (None, *get_args(Engine)):
            raise OptionError(
                f"--engine {self.engine}", "is not an engine", f"use {', '.join(get_args(Engine))}"
            )
        if self.fold is not None and self.folds is not None:
            raise OptionError("--fold and --folds", "exclude each other", "give one of them")
        if self.final and self.out is None:
            raise OptionError("--final", "needs --out", "name the folder that its model goes to")
        if self.ray_address is not None and self.engine != "ray":
            raise OptionError("--ray-address", "needs --engine ray", "add it")

    @property
    def changes(self) -> dict[str, str]:
        """Settings of the federation file, rounds and seed among them, as text."""
        changed = {key: str(value) for key, value in self.settings.items()}
        for name in ("rounds", "seed"):
            if (number := getattr(self, name)) is not None:
                changed[f"training.{name}"] = str(number)
        return changed

    def command_line(self, cohort: str) -> str:
        """The command that simulates a cohort with these options."""
        words = ["consilium", "simulate", cohort]
        for name, option in option_fields():
            flag = (option.param_decls or (f"--{name.replace('_', '-')}",))[0]
            value = getattr(self, name)
            if isinstance(value, bool):
                words += [flag] if value else []
            elif isinstance(value, Mapping):
                words += [word for key, setting in value.items() for word in (flag, f"{key}={setting}")]
            elif isinstance(value, tuple | list):
                texts = (part if isinstance(part, str) else f"{part:g}" for part in value)
                words += [word for text in texts for word in (flag, text)]
            elif value is not None:
                words += [flag, str(value)]
        return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class ExperimentOptions(Options):
    """Options of a simulation with what its caller adds, and no person gives.

    Attributes:
        out: the folder to write to, as a path.
        command: the command line for `result.json`.
        resume: go on with the experiment in `out`, if there is one: the same one, or a finished one with more rounds.
    """

    out: Path | None = None
    command: str | None = None
    resume: bool = False

    @classmethod
    def completed(cls, options: Options, command: str) -> Self:
        """Add the command line to a person's options."""
        return cls(**vars(options), command=command)


def option_fields() -> Iterator[tuple[str, OptionInfo]]:
    """(field, option of the command line) of `Options`, in order."""
    hints = get_type_hints(Options, include_extras=True)
    for option in fields(Options):
        for extra in getattr(hints[option.name], "__metadata__", ()):
            if isinstance(extra, OptionInfo):
                yield option.name, extra


def python_help() -> Iterator[tuple[str, str]]:
    """(field, help for a call from Python) of `Options`, in order."""
    hints = get_type_hints(Options, include_extras=True)
    for name, option in option_fields():
        others = [extra.text for extra in hints[name].__metadata__ if isinstance(extra, PythonHelp)]
        yield name, next(iter(others), option.help or "")
