"""Figures of a result as pandas tables."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from simulations.results.schema import (
    ARM_NAMES,
    UNKNOWN,
    MetricSummary,
    OwnPatients,
    SimulationResult,
    SiteScores,
)


def arms_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per task, arm and metric, with interval and difference to federated."""
    rows = []
    for task, arms in record.tasks.items():
        for arm in record.arms(task):
            paired = record.paired.get(task, {}).get(arm)
            for metric, summary in arms[arm].items():
                headline = metric == record.outcomes[task].metric
                rows.append(
                    {
                        "task": task,
                        "arm": arm,
                        "metric": metric,
                        "name": ARM_NAMES[arm],
                        **_summary(summary),
                        "federated_minus_arm": paired.difference if paired and headline else None,
                        "difference_low": paired.low if paired and headline else None,
                        "difference_high": paired.high if paired and headline else None,
                    }
                )
    return _indexed(rows, ["task", "arm", "metric"])


def private_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per private run, task and metric: its terms, what it spent, and what it reached."""
    rows = [
        {
            "epsilon": run.epsilon,
            "task": task,
            "metric": metric,
            "spent": run.spent,
            "delta": run.delta,
            "noise_multiplier": run.noise_multiplier,
            **_summary(summary),
        }
        for run in record.privacy
        for task, metrics in run.tasks.items()
        for metric, summary in metrics.items()
    ]
    return _indexed(rows, ["epsilon", "task", "metric"])


def folds_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per task, arm, metric and fold: the figure on the patients held out in that fold."""
    return _indexed(list(_by_fold(record)), ["task", "arm", "metric", "fold"])


def _by_fold(record: SimulationResult) -> Iterator[dict[str, object]]:
    for task, arms in record.tasks.items():
        for arm in record.arms(task):
            for metric, summary in arms[arm].items():
                for fold, value in enumerate(summary.per_fold, 1):
                    yield {"task": task, "arm": arm, "metric": metric, "fold": fold, "value": value}


def sites_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per task and hospital: the headline metric of three models, the gain, and reasons."""
    rows = [
        {"task": task, "hospital": name, **_site(scores)}
        for task, sites in record.sites.items()
        for name, scores in sites.items()
    ]
    return _indexed(rows, ["task", "hospital"])


def hospitals_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per hospital: patients, patients with each modality, and events of each task."""
    rows = [
        {
            "hospital": name,
            "patients": hospital.patients,
            **hospital.modalities,
            **{f"{task}: events": count for task, count in hospital.events.items()},
        }
        for name, hospital in record.hospitals.items()
    ]
    return _indexed(rows, ["hospital"])


def history_frame(record: SimulationResult) -> pd.DataFrame:
    """One row per fold and round: losses, and the validation score of each task."""
    rows = [
        {
            "fold": fold,
            "round": entry.round,
            "training_loss": entry.training_loss,
            "validation_loss": entry.validation_loss,
            **entry.scores,
        }
        for fold, rounds in enumerate(record.history, 1)
        for entry in rounds
    ]
    return _indexed(rows, ["fold", "round"])


def _site(scores: SiteScores) -> dict[str, object]:
    """Figures of a hospital in one row; reasons are their codes."""
    low, high = scores.intervals.get("local", UNKNOWN)
    gain = scores.gain
    return {
        **scores.model_dump(exclude={"intervals", "gain", "own_patients", "reasons"}),
        "local_low": low,
        "local_high": high,
        "gain": gain and gain.difference,
        "gain_low": gain and gain.low,
        "gain_high": gain and gain.high,
        **_on_own_patients(scores.own_patients),
        "reasons": ", ".join(f"{reason.lacks}: {reason.code}" for reason in scores.reasons),
    }


def _on_own_patients(judged: OwnPatients | None) -> dict[str, object]:
    """Figures of both models on a hospital's own held-out patients."""
    return {
        "own_patients": judged and judged.patients,
        "own_events": judged and judged.events,
        "own_local": judged and judged.local,
        "own_federated": judged and judged.federated,
        "own_gain": judged and judged.gain.difference,
        "own_gain_low": judged and judged.gain.low,
        "own_gain_high": judged and judged.gain.high,
    }


def _summary(summary: MetricSummary) -> dict[str, float | None]:
    low, high = summary.interval
    return {"mean": summary.mean, "sd": summary.sd, "low": low, "high": high}


def _indexed(rows: Sequence[Mapping[str, object]], index: list[str]) -> pd.DataFrame:
    """Rows under an index of one or more levels, also if there are none."""
    return (pd.DataFrame(rows) if rows else pd.DataFrame(columns=index)).set_index(index)
