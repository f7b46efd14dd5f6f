"""An experiment's outcomes -> `result.json` and what the report draws."""

import resource
import sys

from client.data.cohort import Cohort
from common.agreement.federation import Federation
from common.tasks.task import Task
from simulations.experiment.evidence import Evidence, HeldOut, TaskEvidence
from simulations.experiment.experiment import Experiment, FoldOutcome
from simulations.experiment.scoring import HeldOutTask, compare
from simulations.results.machine import machine
from simulations.results.schema import (
    ARMS,
    Arm,
    Difference,
    FederationName,
    Fold,
    MetricSummary,
    Outcome,
    PrivateRun,
    Result,
    Round,
    SiteScores,
    summarise,
)


def summarise_experiment(experiment: Experiment, folds: list[FoldOutcome], seconds: float) -> Result:
    """Every figure of an experiment that took `seconds`."""
    plan, federation = experiment.plan, experiment.federation
    compared = {
        task.name: compare(task, [fold.tasks[task.name] for fold in folds], plan.seed)
        for task in federation.tasks
    }
    return Result(
        cohort=plan.cohort,
        federation=FederationName(name=federation.name, digest=federation.digest),
        command=plan.options.command,
        seed=plan.seed,
        engine=plan.engine,
        machine=machine(),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        folds=tuple(_fold(fold) for fold in folds),
        outcomes={task.name: _outcome(task) for task in federation.tasks},
        hospitals=experiment.hospitals.described,
        tasks={
            name: {arm: told for arm, told in summaries.items() if arm in ARMS}
            for name, (summaries, _) in compared.items()
        },
        paired={
            name: {arm: told for arm, told in differences.items() if arm in ARMS}
            for name, (_, differences) in compared.items()
        },
        privacy=_private_runs(experiment, folds, compared),
        sites={
            task.name: {cohort.site: _site(task, cohort, folds) for cohort in experiment.hospitals.cohorts}
            for task in federation.tasks
            if not plan.options.federated_only
        },
        history=tuple(
            tuple(
                Round(
                    round=record.round,
                    training_loss=record.training_loss,
                    validation_loss=record.validation_loss,
                    scores=dict(record.scores),
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


Compared = dict[str, tuple[dict[Arm, dict[str, MetricSummary]], dict[Arm, Difference]]]
"""Task -> what `compare` found."""


def _private_runs(
    experiment: Experiment, folds: list[FoldOutcome], compared: Compared
) -> tuple[PrivateRun, ...]:
    """The federated arm, if its federation file has privacy, or a run for every target epsilon."""
    terms: list[tuple[float | None, Federation, Arm]] = [
        (target.epsilon, target.federation, target.arm) for target in experiment.targets
    ]
    if experiment.federation.privacy is not None:
        terms.append((None, experiment.federation, "federated"))
    runs = []
    for epsilon, federation, arm in terms:
        privacy = federation.privacy
        assert privacy is not None
        told = {name: found for name, found in compared.items() if arm in found[0]}
        runs.append(
            PrivateRun(
                epsilon=epsilon,
                spent=max(fold.spent[epsilon] for fold in folds),
                rounds=federation.training.rounds,
                tasks={name: summaries[arm] for name, (summaries, _) in told.items()},
                paired={name: paired[arm] for name, (_, paired) in told.items() if arm in paired},
                **{name: getattr(privacy, name) for name in _TERMS},
            )
        )
    return tuple(runs)


_TERMS = ("delta", "noise_multiplier", "clip_norm", "sampling_rate", "steps", "learn", "statistics")


def evidence(experiment: Experiment, folds: list[FoldOutcome]) -> Evidence:
    """The federated model's predictions on held-out patients, for the report's curves; kept in memory only."""
    return Evidence(
        {
            task.name: TaskEvidence(task, [_held_out(fold.tasks[task.name]) for fold in folds])
            for task in experiment.federation.tasks
        }
    )


def _held_out(fold: HeldOutTask) -> HeldOut:
    return HeldOut(fold.labels, fold.labelled, fold.arms["federated"][0], fold.groups)


def _fold(outcome: FoldOutcome) -> Fold:
    trained = outcome.federated
    training = [record.seconds for record in trained.rounds if record.kind == "train"]
    return Fold(
        status="completed" if trained.run.status == "completed" else "partial",
        rounds=trained.run.rounds,
        best_round=trained.run.best_round,
        seconds_per_round=sum(training) / len(training),
    )


def _outcome(task: Task) -> Outcome:
    return Outcome(
        kind=task.kind, metric=task.headline_metric, unit=task.outcome_unit, names=task.outcome_names
    )


def _site(task: Task, cohort: Cohort, folds: list[FoldOutcome]) -> SiteScores:
    """One hospital's own model beside the federated and pooled ones, all on everyone's held-out patients."""
    scores: dict[str, float | None] = {}
    for arm in ("federated", "pooled", "local"):
        figures = []
        for fold in folds:
            held = fold.tasks[task.name]
            if arm == "local":
                models = [fold.local[cohort.site][task.name]] if cohort.site in fold.local else []
            else:
                models = list(held.arms["federated" if arm == "federated" else "pooled"])
            figures.append(task.headline(models[0], held.labels, held.labelled) if models else None)
        scores[arm] = summarise(figures).mean
    labelled = int(cohort.batch.labelled[task.name].any(1).sum())
    return SiteScores(patients=len(cohort.batch), labelled=labelled, **scores)


def peak_memory_mb() -> float:
    """Largest resident size of this process or of one of its workers so far, in MB."""
    largest = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
