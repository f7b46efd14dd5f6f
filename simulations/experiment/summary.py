"""Summary of an experiment: `result.json`, and the data of the report's curves."""

import resource
import sys
from collections.abc import Mapping
from typing import Literal

import numpy as np

from common.agreement.agreement import Agreement
from simulations.experiment.experiment import Experiment, FoldOutcome
from simulations.experiment.own_patients import score_on_own_patients
from simulations.experiment.scoring import MOST_INTERVALS, compare_arms, score_divisions, score_own
from simulations.report.words.absences import reason_sentences
from simulations.results.machine import machine
from simulations.results.reasons import FEW_HELD_OUT, FEW_OUTCOMES, UNDEFINED, Cause, Lacking, Reason
from simulations.results.schema import (
    UNKNOWN,
    Difference,
    FederationName,
    Fold,
    GroupScores,
    Hospital,
    MetricSummary,
    Outcome,
    PrivateRun,
    RoundScores,
    SimulationResult,
    SiteScores,
    is_arm,
)
from simulations.results.spread import HospitalSpread, spread_over


def summarise_experiment(
    experiment: Experiment, folds: list[FoldOutcome], seconds: float
) -> SimulationResult:
    """Summarise an experiment that took `seconds`."""
    plan, federation, cohorts = experiment.plan, experiment.federation, experiment.cohorts
    divisions = {
        name: score_divisions([fold.tasks[name] for fold in folds], plan.seed) for name in cohorts.outcomes
    }
    compared = {
        name: compare_arms(outcome.metric, [fold.tasks[name] for fold in folds], plan.seed)
        for name, outcome in experiment.cohorts.outcomes.items()
    }
    sites = {
        name: _sites(experiment, name, folds, compared[name][0], divisions[name].get("hospital", {}))
        for name in cohorts.outcomes
        if not plan.options.federated_only
    }
    reasons = {
        name: {site: scores.reasons for site, scores in by_site.items()} for name, by_site in sites.items()
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
        outcomes={name: _sized(experiment, name, folds) for name in cohorts.outcomes},
        hospitals=_hospitals(experiment),
        tasks={
            name: {arm: metrics for arm, metrics in summaries.items() if is_arm(arm)}
            for name, (summaries, _) in compared.items()
        },
        paired={
            name: {arm: difference for arm, difference in differences.items() if is_arm(arm)}
            for name, (_, differences) in compared.items()
        },
        privacy=_private_runs(experiment, folds, compared),
        sites=sites,
        divisions=divisions,
        spread={name: spread for name in divisions if (spread := _spread(divisions[name])) is not None},
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
        notes=tuple(dict.fromkeys([*experiment.notes, *reason_sentences(reasons)])),
    )


def _sized(experiment: Experiment, question: str, folds: list[FoldOutcome]) -> Outcome:
    """Describe a question with the held-out units behind its figures."""
    held_out = experiment.cohorts.held_out_of(question, experiment.plan.folds)
    events = [fold.tasks[question].events(np.arange(len(fold.tasks[question]))) for fold in folds]
    size = {
        "held_out": sum(held_out.values()),
        "events": None if None in events else sum(filter(None, events)),
    }
    return experiment.cohorts.outcomes[question].model_copy(update=size)


def _spread(divided: Mapping[str, Mapping[str, GroupScores]]) -> HospitalSpread | None:
    """Spread of the federated model over hospitals with a figure."""
    of_hospitals = divided.get("hospital", {})
    return spread_over({name: group.scores.get("federated") for name, group in of_hospitals.items()})


def _hospitals(experiment: Experiment) -> dict[str, Hospital]:
    """Hospital -> its size, with its patients in the test sets of the folds that were run."""
    cohorts = experiment.cohorts
    held_out = {name: cohorts.held_out_of(name, experiment.plan.folds) for name in cohorts.outcomes}
    return {
        site: hospital.model_copy(
            update={"held_out": {name: by_site[site] for name, by_site in held_out.items()}}
        )
        for site, hospital in cohorts.described.items()
    }


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
        absent=outcome.absent,
    )


def _sites(
    experiment: Experiment,
    question: str,
    folds: list[FoldOutcome],
    summaries: Mapping[str, Mapping[str, MetricSummary]],
    groups: Mapping[str, GroupScores],
) -> dict[str, SiteScores]:
    """Hospital -> scores of its own model beside the federated and the pooled one.

    Args:
        experiment: whose hospitals they are.
        question: the task.
        folds: of the experiment.
        summaries: arm -> metric -> summary.
        groups: hospital -> scores among its own patients.
    """
    cohorts, metric = experiment.cohorts, experiment.cohorts.outcomes[question].metric
    labelled, held_out = cohorts.labelled(question), cohorts.held_out_of(question, experiment.plan.folds)
    shared = {arm: summary for arm in _SHARED if (summary := summaries.get(arm, {}).get(metric))}
    seed = experiment.plan.seed if len(cohorts.described) <= MOST_INTERVALS else None
    held = [fold.tasks[question] for fold in folds]
    sites = {}
    for site, hospital in cohorts.described.items():
        own_models = [fold.local.get(site, {}).get(question) for fold in folds]
        alone, bounds, gain = score_own(held, own_models, seed)
        intervals = {arm: summary.interval for arm, summary in shared.items()}
        sites[site] = SiteScores(
            patients=hospital.patients,
            labelled=labelled[site],
            held_out=held_out[site],
            local=alone,
            intervals=intervals | ({} if bounds == UNKNOWN else {"local": bounds}),
            gain=gain,
            own_patients=score_on_own_patients(held, own_models, site, seed),
            reasons=(*_reasons(question, site, folds), *_figure_reasons(groups, site, len(folds))),
            **{arm: summary.mean for arm, summary in shared.items()},
        )
    return sites


_SHARED: tuple[Literal["federated", "pooled"], ...] = ("federated", "pooled")
"""Arms whose one model stands beside every hospital's own."""


def _reasons(question: str, site: str, folds: list[FoldOutcome]) -> list[Reason]:
    """Reasons for which a hospital had no part, or has no model of its own, with the folds."""
    with_folds: dict[tuple[Lacking, Cause], list[int]] = {}
    for number, fold in enumerate(folds, 1):
        for hospital in fold.absent:
            concerned = hospital.site == site and hospital.task in (None, question)
            if concerned and hospital.arm == "federated" and not hospital.rounds:
                with_folds.setdefault(("part", Cause(code=hospital.code, text=hospital.text)), []).append(
                    number
                )
        for lacks, causes in fold.causes.items():
            if cause := causes.get(question, {}).get(site):
                with_folds.setdefault((lacks, cause), []).append(number)
    return [
        Reason(lacks=lacks, folds=tuple(numbers), **cause.model_dump())
        for (lacks, cause), numbers in with_folds.items()
    ]


def _figure_reasons(groups: Mapping[str, GroupScores], site: str, folds: int) -> list[Reason]:
    """Reason for a missing figure of the federated model on a hospital's own patients, if it is."""
    if not groups or (site in groups and groups[site].scores.get("federated") is not None):
        return []
    cause = FEW_HELD_OUT
    if site in groups:
        cause = UNDEFINED if groups[site].scores else FEW_OUTCOMES
    return [Reason(lacks="figure", folds=tuple(range(1, folds + 1)), **cause.model_dump())]


def peak_memory_mb() -> float:
    """Largest resident size of this process or of one of its workers so far, in MB."""
    largest = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
