"""Folder of a search: its description, and a sealed file per finished run.

`OUT/search.json` says on which patients and with which code runs were trained; `OUT/runs` has a run's scores under the
digest of its settings, its fold and its seed, so that a search goes on where it was, also with more settings or seeds.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import Field, ValidationError

from common.errors import IntegrityError, StateError
from common.files import write_whole
from common.sealed_json import BrokenSealError, sealed, unsealed
from simulations.results.machine import Record, Score

SEARCH, RUNS = "search.json", "runs"


R = TypeVar("R", bound=Record)


class SearchFile(Record):
    """Description of a search, the same for all of its runs.

    Attributes:
        closed_fold: the fold whose patients no run has seen.
        inner_folds: number of folds of the others.
        patients: SHA-256 over the site folders with the inner folds.
        code: SHA-256 over the installed code.
        device: on which hospitals trained, where one was named.
    """

    closed_fold: int
    inner_folds: int
    patients: str
    code: str
    device: str | None


class TuningRun(Record):
    """Finished run of a setting on an inner fold.

    Attributes:
        settings: digest of the agreement.
        fold: inner fold that was held out.
        seed: of splits, first weights and all random draws.
        trained: whether the federation could be trained.
        scores: question -> headline metric on the held-out units; empty without a model.
        seconds: time of all rounds.
    """

    settings: str
    fold: int
    seed: int
    trained: bool
    scores: dict[str, Score] = Field(default_factory=dict)
    seconds: Score = None


class FinishedRuns:
    """Finished runs of a search, in its folder.

    Raises:
        InputError: if the folder belongs to another search.
    """

    def __init__(self, out: Path, description: SearchFile) -> None:
        self._folder = out / RUNS
        path = out / SEARCH
        if path.is_file():
            if _read(path, SearchFile) != description:
                what = "holds a search with other patients, folds, device or code"
                raise StateError(f"--out {out}", what, "name another folder, or remove this one")
        elif self._folder.is_dir():
            raise StateError(f"--out {out}", f"holds {RUNS} without {SEARCH}", "name another folder")
        else:
            write_whole(path, _written(description))

    def read(self, settings: str, fold: int, seed: int) -> TuningRun | None:
        """Return a finished run; None if it is not finished.

        Raises:
            IntegrityError: if its file is damaged.
        """
        path = self._path(settings, fold, seed)
        if not path.is_file():
            return None
        run = _read(path, TuningRun)
        if (run.settings, run.fold, run.seed) != (settings, fold, seed):
            raise IntegrityError(str(path), "is the file of another run", "remove it, and search again")
        return run

    def write(self, run: TuningRun) -> None:
        """Keep a finished run, whole and durably."""
        write_whole(self._path(run.settings, run.fold, run.seed), _written(run))

    def _path(self, settings: str, fold: int, seed: int) -> Path:
        return self._folder / f"{settings[:16]}-fold{fold}-seed{seed}.json"


def _written(record: Record) -> bytes:
    return sealed(record.model_dump_json(indent=2).encode()) + b"\n"


def _read(path: Path, kind: type[R]) -> R:
    try:
        return kind.model_validate_json(unsealed(path.read_bytes().removesuffix(b"\n")))
    except (BrokenSealError, ValidationError):
        raise IntegrityError(str(path), "is damaged", "remove it, and search again") from None
