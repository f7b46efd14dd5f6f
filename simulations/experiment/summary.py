"""Summary of an experiment: `result.json`, and the data of the report's curves."""

import resource
import sys

from common.agreement.agreement import Agreement
from simulations.experiment.experiment import Experiment, FoldOutcome
from simulations.experiment.scoring import compare_arms, score_divisions
from simulations.results.machine import machine
from simulations.results.schema import (
    Difference,
    FederationName,
    Fold,
    MetricSummary,
    PrivateRun,
    RoundScores,
    SimulationResult,
    SiteScores,
    is_arm,
    summarise,
)


def summarise_experiment(
    experiment: Experiment, folds: list[FoldOutcome], seconds: float
) -> SimulationResult:
    """Summarise an experiment that took `seconds`."""
    plan, federation = experiment.plan, experiment.federation
    compared = {
        name: compare_arms(outcome.metric, [fold.tasks[name] for fold in folds], plan.seed)
        for name, outcome in experiment.cohorts.outcomes.items()
    }
    return SimulationResult(
        cohort=plan.cohort,
        federation=FederationName(name=federation.name, digest=federation.digest),
        command=plan.options.command,
        seed=plan.seed,
        engine=plan.engine,
        machine=machine(),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        folds=tuple(_fold(fold) for fold in folds),
        outcomes=dict(experiment.cohorts.outcomes),
        hospitals=dict(experiment.cohorts.described),
        tasks={
            name: {arm: metrics for arm, metrics in summaries.items() if is_arm(arm)}
            for name, (summaries, _) in compared.items()
        },
        paired={
            name: {arm: difference for arm, difference in differences.items() if is_arm(arm)}
            for name, (_, differences) in compared.items()
        },
        privacy=_private_runs(experiment, folds, compared),
        sites={
            name: _sites(experiment, name, folds)
            for name in experiment.cohorts.outcomes
            if not plan.options.federated_only
        },
        divisions={
            name: score_divisions([fold.tasks[name] for fold in folds], plan.seed)
            for name in experiment.cohorts.outcomes
        },
        history=tuple(
            tuple(
                RoundScores(
                    round=record.round,
                    training_loss=record.training_loss,
                    validation_loss=record.validation_loss,
                    scores=dict(record.concordance),
                )
                for record in fold.federated.rounds
            )
            for fold in folds
        ),
        withheld={
            site: {name: int(count) for name, count in counts.items() if count}
            for site, counts in folds[0].federated.run.withheld.items()
        },
        notes=tuple(dict.fromkeys(experiment.notes)),
    )


Compared = dict[str, tuple[dict[str, dict[str, MetricSummary]], dict[str, Difference]]]
"""Task -> result of `compare_arms`."""


def _private_runs(
    experiment: Experiment, folds: list[FoldOutcome], compared: Compared
) -> tuple[PrivateRun, ...]:
    """Records of the private runs, and of a federated arm whose file has privacy."""
    terms: list[tuple[float | None, Agreement, str]] = [
        (target.epsilon, target.federation, target.arm) for target in experiment.targets
    ]
    if experiment.federation.privacy is not None:
        terms.append((None, experiment.federation, "federated"))
    runs = []
    for epsilon, federation, arm in terms:
        privacy = federation.privacy
        assert privacy is not None
        with_arm = {name: comparison for name, comparison in compared.items() if arm in comparison[0]}
        runs.append(
            PrivateRun(
                epsilon=epsilon,
                spent=max(fold.spent[epsilon] for fold in folds),
                rounds=federation.training.rounds,
                tasks={name: summaries[arm] for name, (summaries, _) in with_arm.items()},
                paired={name: paired[arm] for name, (_, paired) in with_arm.items() if arm in paired},
                **{name: getattr(privacy, name) for name in _TERMS},
            )
        )
    return tuple(runs)


_TERMS = ("delta", "noise_multiplier", "clip_norm", "sampling_rate", "steps", "learn", "statistics")


def _fold(outcome: FoldOutcome) -> Fold:
    trained = outcome.federated
    training = [record.seconds for record in trained.rounds if record.kind == "train"]
    return Fold(
        status="completed" if trained.run.status == "completed" else "partial",
        rounds=trained.run.rounds,
        best_round=trained.run.best_round,
        seconds_per_round=sum(training) / len(training),
        activity=outcome.activity,
    )


def _sites(experiment: Experiment, question: str, folds: list[FoldOutcome]) -> dict[str, SiteScores]:
    """Hospital -> scores of its own model beside the federated and the pooled one."""
    labelled = experiment.cohorts.labelled(question)
    return {
        site: SiteScores(
            patients=hospital.patients, labelled=labelled[site], **_site_scores(question, site, folds)
        )
        for site, hospital in experiment.cohorts.described.items()
    }


def _site_scores(question: str, site: str, folds: list[FoldOutcome]) -> dict[str, float | None]:
    """Scores of a hospital's own, the federated and the pooled model, on all held-out units."""
    scores: dict[str, float | None] = {}
    for arm in ("federated", "pooled", "local"):
        figures = []
        for fold in folds:
            held = fold.tasks[question]
            models = list(held.arms[arm]) if arm != "local" else []
            if arm == "local" and site in fold.local:
                models = [fold.local[site][question]]
            figures.append(held.headline(models[0]) if models else None)
        scores[arm] = summarise(figures).mean
    return scores


def peak_memory_mb() -> float:
    """Largest resident size of this process or of one of its workers so far, in MB."""
    largest = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
