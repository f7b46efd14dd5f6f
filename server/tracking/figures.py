"""Figures of a run for sinks, from its journal: of the federation, and of no patient."""

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from common.agreement.agreement import Agreement
from server.records.history import RunHistory
from server.records.journal import RoundFigures, RunRecord
from server.tracking.sink import TrackedPoint, TrackedRun


def tracked_run(name: str, run: RunRecord, federation: Agreement) -> TrackedRun:
    """Describe a run to a sink; no hospital is named."""
    data = {
        "training": federation.training.model_dump(mode="json"),
        "privacy": None if federation.privacy is None else federation.privacy.model_dump(mode="json"),
        "kind": federation.kind,
        "participants": len(federation.participants),
        "quorum": federation.quorum,
        "tasks": ", ".join(federation.task_names),
        "seed": run.seed,
    }
    tags = {
        "consilium.digest": run.digest,
        "consilium.version": version("consilium"),
        "consilium.federation": run.federation,
    }
    return TrackedRun(name, run.federation, dict(_flat(data)), tags, _seconds(run))


def tracked_points(history: RunHistory, logged: int, names_hospitals: bool) -> list[TrackedPoint]:
    """List the figures of the exchanges from the one with this index on."""
    if not history.runs:
        return []
    at = _seconds(history.runs[0]) + sum(record.seconds for record in history.rounds[:logged])
    sites = history.runs[-1].sites
    points = []
    for record in history.rounds[logged:]:
        at += record.seconds
        points += [
            TrackedPoint(number, at, figures)
            for number, figures in (
                (record.round, _of_round(record, sites, names_hospitals)),
                (record.round - 1, _of_weights_before(record)),
            )
            if figures
        ]
    return points


def closing_point(history: RunHistory) -> TrackedPoint | None:
    """Figures of the weights that a run kept; None without a model."""
    run = history.last
    if run is None or run.best_round is None:
        return None
    figures = _finite({"kept_round": float(run.best_round), "kept_validation_loss": run.best_loss})
    return TrackedPoint(run.best_round, _seconds(run), figures)


def _of_round(record: RoundFigures, sites: tuple[str, ...], names_hospitals: bool) -> dict[str, float]:
    if record.kind != "train":
        return {}
    missing = {dropped.site for dropped in record.dropped} & set(sites)
    figures: dict[str, float | None] = {
        "training_loss": record.training_loss,
        "seconds": record.seconds,
        "hospitals": float(len(sites) - len(missing)),
        "hospitals_missing": float(len(missing)),
        "counted": float(record.applied),
    }
    if names_hospitals:
        figures |= {f"hospital/{_word(site)}": float(site not in missing) for site in sites}
    return _finite(figures)


def _of_weights_before(record: RoundFigures) -> dict[str, float]:
    concordance = {f"concordance/{_word(task)}": value for task, value in record.concordance.items()}
    return _finite(
        {
            "validation_loss": record.validation_loss,
            "validation_error": record.validation_error,
            **concordance,
        }
    )


def _word(name: str) -> str:
    """Name that MLflow accepts: letters, digits, dashes, dots, spaces and underscores."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_. ") else "_" for sign in name)


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None and math.isfinite(value)}


def _seconds(run: RunRecord) -> float:
    return datetime.fromisoformat(run.at).timestamp() if run.at else 0.0


def _flat(data: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        elif value is not None:
            yield f"{path}{name}", str(value)
