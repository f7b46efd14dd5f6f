"""The two sides of a comparison: results of simulations, or runs of a coordinator."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from common.agreement.agreement import FILE_NAME
from common.errors import MissingFileError, OptionError, UnreadableFileError
from common.messages.validation import VALIDATION_LOSS, VALIDATION_PATIENTS
from common.reading.objections import invalid_content
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import RoundRecord, RunRecord, read_journal
from simulations.comparing.pairing import FigureDifference, Paired, other_settings, paired
from simulations.experiment.checkpoint import find_description
from simulations.experiment.preparing import RESULT
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import SimulationResult


@dataclass(frozen=True)
class ResultSide:
    """Result of a simulation.

    Attributes:
        path: as it was named.
        record: the figures.
        tables: SHA-256 of the cohort's files; None where the folder has no checkpoint.
        folds: that were held out; None likewise.
    """

    path: Path
    record: SimulationResult
    tables: str | None
    folds: tuple[int, ...] | None


@dataclass(frozen=True)
class RunSide:
    """Finished run of a coordinator.

    Attributes:
        path: its folder.
        run: its closing record.
        kept: record of the exchange that validated the kept weights; None if there is none.
    """

    path: Path
    run: RunRecord
    kept: RoundRecord | None


def read_side(path: Path) -> ResultSide | RunSide:
    """Read a result, its folder, or the folder of a run.

    Raises:
        InputError: if there is neither, it is damaged, or the run has no model.
    """
    file = path / RESULT if path.is_dir() else path
    if file.is_file():
        return _result(path, file)
    if (path / JOURNAL).is_file():
        return _run(path)
    raise MissingFileError(
        str(path), f"holds no {RESULT} and no journal", "name the folder of a simulation or of a run"
    )


def _result(path: Path, file: Path) -> ResultSide:
    try:
        record = SimulationResult.read(file)
    except ValidationError as error:
        raise invalid_content(str(file), error, "simulate again") from None
    described = find_description(path) if path.is_dir() else None
    if described is None:
        return ResultSide(path, record, None, None)
    return ResultSide(path, record, described.tables, described.folds)


def _run(path: Path) -> RunSide:
    records = read_journal(path)
    runs = [record for record in records if isinstance(record, RunRecord)]
    if not runs or runs[-1].status not in ("completed", "partial"):
        raise OptionError(str(path), "is a run without a model", "name a run that has ended with one")
    number = (runs[-1].best_round or 0) + 1  # an exchange describes the weights that were sent
    rounds = [record for record in records if isinstance(record, RoundRecord) and record.round == number]
    return RunSide(path, runs[-1], rounds[-1] if rounds else None)


def compared(first: ResultSide | RunSide, second: ResultSide | RunSide) -> Paired:
    """Compare two sides of one kind.

    Raises:
        OptionError: if one is a result and the other a run.
    """
    if isinstance(first, ResultSide) and isinstance(second, ResultSide):
        return _of_results(first, second)
    if isinstance(first, RunSide) and isinstance(second, RunSide):
        return _of_runs(first, second)
    what = "is a simulation, and the other a run" if isinstance(first, ResultSide) else "is a run"
    raise OptionError(str(first.path), what, "compare two of one kind")


def _of_results(first: ResultSide, second: ResultSide) -> Paired:
    reasons = _apart(first, second)
    differences = () if reasons else _by_fold(first, second)
    return Paired(
        first=str(first.path),
        second=str(second.path),
        unit="fold",
        reasons=tuple(reasons),
        settings=_settings(first.path, second.path),
        differences=differences,
    )


def _apart(first: ResultSide, second: ResultSide) -> list[str]:
    ours, other = first.record, second.record
    sizes = [
        {name: hospital.patients for name, hospital in result.hospitals.items()} for result in (ours, other)
    ]
    reasons = []
    if ours.cohort != other.cohort or sizes[0] != sizes[1]:
        reasons.append("the cohorts differ")
    elif first.tables is not None and second.tables is not None and first.tables != second.tables:
        reasons.append("the files of the cohort differ")
    if ours.seed != other.seed:
        reasons.append("the seeds differ, and with them the splits")
    folds = [side.folds for side in (first, second)]
    if len(ours.folds) != len(other.folds) or (None not in folds and folds[0] != folds[1]):
        reasons.append("other folds are held out")
    held_out = [
        {name: hospital.held_out for name, hospital in result.hospitals.items()} for result in (ours, other)
    ]
    if not reasons and held_out[0] != held_out[1]:
        reasons.append("the held-out patients differ in number")
    if set(ours.outcomes).isdisjoint(other.outcomes):
        reasons.append("they have no task in common")
    return reasons


def _by_fold(first: ResultSide, second: ResultSide) -> tuple[FigureDifference, ...]:
    differences = []
    folds = None if first.folds is None else max(len(first.folds), max(first.folds) + 1)
    for task, arms in first.record.tasks.items():
        for arm, metrics in arms.items():
            others = second.record.tasks.get(task, {}).get(arm, {})
            for metric, summary in metrics.items():
                if metric not in others:
                    continue
                difference = paired(
                    f"{task}, {metric_name(metric)}",
                    summary.per_fold,
                    others[metric].per_fold,
                    str(arm),
                    folds or len(first.record.folds),
                    lower_is_better(metric),
                )
                differences += [] if difference is None else [difference]
    return tuple(differences)


def _of_runs(first: RunSide, second: RunSide) -> Paired:
    losses = [_losses(side) for side in (first, second)]
    reasons = []
    if not losses[0] or not losses[1]:
        reasons.append("no hospital told a validation loss of the kept weights")
    else:
        if losses[0].keys() != losses[1].keys():
            reasons.append("other hospitals validated the kept weights")
        shared = losses[0].keys() & losses[1].keys()
        if any(losses[0][site][1] != losses[1][site][1] for site in shared):
            reasons.append("a hospital validated on another number of patients")
    differences = []
    if not reasons:
        sites = sorted(losses[0])
        first_losses, second_losses = ([by_site[site][0] for site in sites] for by_site in losses)
        difference = paired("validation loss", first_losses, second_losses, lower_is_better=True)
        differences = [] if difference is None else [difference]
    return Paired(
        first=first.path.name,
        second=second.path.name,
        unit="hospital",
        reasons=tuple(reasons),
        settings=_settings(first.path, second.path),
        differences=tuple(differences),
    )


def _losses(side: RunSide) -> dict[str, tuple[float, float]]:
    """Site -> (mean loss, patients) of the kept weights at every hospital that told it."""
    losses = {}
    for site, record in ({} if side.kept is None else side.kept.sites).items():
        patients = record.metrics.get(VALIDATION_PATIENTS, 0.0)
        if VALIDATION_LOSS in record.metrics and patients > 0:
            losses[site] = record.metrics[VALIDATION_LOSS] / patients, patients
    return losses


def _settings(first: Path, second: Path) -> tuple[tuple[str, str, str], ...]:
    """Settings in which the two federation files differ; none where a folder has no file."""
    files = [path / FILE_NAME for path in (first, second)]
    if not all(file.is_file() for file in files):
        return ()
    try:
        ours, other = (tomllib.loads(file.read_text(encoding="utf-8")) for file in files)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise UnreadableFileError(str(files[0]), "or the other one is damaged", "put it back") from None
    return other_settings(ours, other)
