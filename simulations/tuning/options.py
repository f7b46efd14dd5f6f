"""Options of a search for settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """Options of a search for settings beside its cohort.

    Attributes:
        over: setting of the federation file -> values to try.
        out: folder of the finished runs and the result; a search whose folder it is goes on.
        settings: settings changed for the whole search, those of the file included.
        fold: fold whose patients stay closed; without it, the first.
        inner_folds: number of folds of the other patients.
        seeds: number of seeds, counted from `training.seed`.
        budget: number of settings, drawn at random out of the grid; without it, the whole grid.
        runs: number of runs after which the search pauses; without it, all.
        minutes: time after which no further run begins.
        tasks: tasks that judge, all of the file without any.
        processes: number of runs at the same time; without it, the usable cores.
        device: device on which hospitals train, instead of that of their site files.
    """

    over: Mapping[str, Sequence[str]]
    out: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    fold: int | None = None
    inner_folds: int = 5
    seeds: int = 3
    budget: int | None = None
    runs: int | None = None
    minutes: float | None = None
    tasks: Sequence[str] = ()
    processes: int | None = None
    device: str | None = None
