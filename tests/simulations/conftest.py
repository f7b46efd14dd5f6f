"""A made-up result and its held-out patients, and the command `consilium` run in this process."""

import io
import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.tasks.toxicity import ToxicityTask
from simulations.families.patients.evidence import PatientEvidence
from simulations.report.outcomes.evidence import HeldOutPatients, TaskEvidence
from simulations.results.machine import Machine
from simulations.results.schema import (
    Arm,
    Difference,
    FederationName,
    Fold,
    Hospital,
    MetricSummary,
    Outcome,
    PrivateRun,
    RoundScores,
    SimulationResult,
    SiteScores,
    summarise,
)
from tests.built_once import built_once
from tests.conftest import draw_anew_a_few_times

MakeResult = Callable[..., SimulationResult]
MakeEvidence = Callable[..., PatientEvidence]

TASKS: dict[str, Task] = {
    "overall_survival": SurvivalTask(
        name="overall_survival", time="days", event="died", unit="days", longest=9000
    ),
    "response": ResponseTask(name="response", label="best", classes=("progressive disease", "response")),
    "toxicity": ToxicityTask(
        name="toxicity", labels=("neutropenia", "peripheral_neuropathy", "nausea", "rash", "hepatotoxicity")
    ),
}
METRICS = {
    "survival": ("c_index", "integrated_brier"),
    "response": ("auroc", "auprc", "accuracy", "precision", "recall", "f1"),
    "toxicity": ("auroc", "auprc"),
}
CANCERS = ("BRCA", "COAD", "KIRC", "LUAD", "UCEC")


Consilium = Callable[..., Ended]


@dataclass(frozen=True)
class Output:
    """Exit code of a command and everything it wrote; `output` are both streams in order."""

    exit_code: int
    output: str
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Run:
    """Output, log and files of `consilium simulate COHORT --out OUT`, all below one folder.

    `before` is a copy of COHORT, `home` the home folder, where the run had one of its own.
    """

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def cohort(self) -> Path:
        return self.folder / "cohort"

    @property
    def before(self) -> Path:
        return self.folder / "before"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def ended(self) -> Output:
        return Output(**json.loads((self.folder / "ended.json").read_text()))

    @property
    def log(self) -> str:
        return (self.folder / "log.txt").read_text()


def run_consilium(*arguments: object) -> Ended:
    """Run the command in this process, standard output and error apart."""
    from consilium.command import app

    return CliRunner(env={"COLUMNS": "100"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def consilium() -> Consilium:
    return run_consilium


@pytest.fixture(scope="session")
def full_run(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory, canary: Any) -> Run:
    """One fold of a small cohort with every task and arm, and a canary among the patients."""

    def build(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            fit_classical_models_roughly(patch)
            _simulate(folder, written_cohort, canary, patch)

    return Run(built_once(tmp_path_factory, "full-run", build))


@pytest.fixture(scope="session")
def private_run(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory, canary: Any) -> Run:
    """One fold of a small cohort under two epsilons, with a canary among the patients, at home in its own folder."""

    def build(folder: Path) -> None:
        private = ("--epsilon", 8, "--epsilon", 1, "--delta", 0.05, "--set", "privacy.steps=2")
        with pytest.MonkeyPatch.context() as patch:
            at_home(patch, folder / "home")
            patch.setattr("simulations.baselines.registry.applicable", lambda task: ())
            _simulate(folder, written_cohort, canary, patch, *private)
            assert "CONSILIUM_STATE" not in os.environ

    return Run(built_once(tmp_path_factory, "private-run", build))


def _simulate(
    folder: Path, written_cohort: Path, canary: Any, patch: pytest.MonkeyPatch, *options: object
) -> None:
    """Plant the canary in a copy of the cohort, simulate it, and keep what a `Run` tells."""
    shutil.copytree(written_cohort, folder / "cohort")
    canary.plant(folder / "cohort" / "hospital-1" / "imaging.csv", "image_1", valid=True)
    shutil.copytree(folder / "cohort", folder / "before")
    log = logging.StreamHandler(io.StringIO())
    draw_anew_a_few_times(patch)
    patch.setattr(logging.root, "level", logging.INFO)
    patch.setattr(logging.root, "handlers", [*logging.root.handlers, log])
    ended = run_consilium(
        *("simulate", folder / "cohort", "--fold", 0, "--seed", 3, "--engine", "serial", *options),
        *("--out", folder / "out"),
    )
    output = Output(ended.exit_code, ended.output, ended.stdout, ended.stderr)
    (folder / "ended.json").write_text(json.dumps(asdict(output)))
    (folder / "log.txt").write_text(log.stream.getvalue())


def at_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    """A home folder of its own, and nothing that tells a ledger to go elsewhere."""
    home.mkdir()
    patch.setenv("HOME", str(home))
    for variable in ("CONSILIUM_STATE", "XDG_STATE_HOME"):
        patch.delenv(variable, raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    at_home(monkeypatch, tmp_path / "home")
    return tmp_path / "home"


def fit_classical_models_roughly(patch: pytest.MonkeyPatch) -> None:
    """Two penalties and folds, few trees and epochs: what the classical models are worth is tested elsewhere."""
    patch.setattr("simulations.baselines.survival.PENALTIES", (0.03, 1.0))
    patch.setattr("simulations.baselines.classes.STRENGTHS", (0.01, 1.0))
    for module in ("survival", "classes"):
        patch.setattr(f"simulations.baselines.{module}.TREES", 20)
        patch.setattr(f"simulations.baselines.{module}.FOLDS", 2)
    patch.setattr("simulations.baselines.perceptron.EPOCHS", 20)


@pytest.fixture
def networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the classical models out."""
    draw_anew_a_few_times(monkeypatch)
    monkeypatch.setattr("simulations.baselines.registry.applicable", lambda task: ())


@pytest.fixture
def make_result() -> MakeResult:
    return made_up_result


@pytest.fixture
def make_private() -> MakeResult:
    return made_up_private


def made_up_private(*epsilons: float | None, folds: int = 2) -> SimulationResult:
    """A made-up result with a private run for each epsilon, None for the federation file's own."""
    result = made_up_result(sites=3, folds=folds, tasks=("response",))
    generator = np.random.default_rng(5)
    runs = tuple(
        PrivateRun(
            epsilon=epsilon,
            delta=1e-3,
            spent=(epsilon or 5.0) - 0.01,
            noise_multiplier=2.5,
            clip_norm=1.0,
            sampling_rate=0.5,
            steps=2,
            rounds=40,
            learn="linear",
            statistics="declared",
            tasks={"response": {name: _summary(0.64, folds, generator) for name in METRICS["response"]}},
            paired={"response": Difference(difference=0.03, low=0.01, high=0.05)} if epsilon else {},
        )
        for epsilon in epsilons
    )
    return result.model_copy(update={"privacy": runs})


@pytest.fixture
def make_evidence() -> MakeEvidence:
    return made_up_evidence


def made_up_result(
    sites: int = 21, folds: int = 2, tasks: tuple[str, ...] = tuple(TASKS), rounds: int = 40
) -> SimulationResult:
    generator = np.random.default_rng(7)
    names = [f"Hospital {number:02d}" for number in range(1, sites + 1)]
    names[-1] = "Universitätsklinikum Nordrhein & Partners, Department of Oncology <east wing>"
    sizes = np.sort(generator.integers(28, 220, sites))[::-1]
    return SimulationResult(
        date=datetime(2026, 3, 4, 9, 30, tzinfo=UTC),
        cohort="Five cancers, 21 hospitals",
        federation=FederationName(name="five-cancers", digest="3f9a" * 16),
        command=f"consilium simulate five-cancers --folds {folds} --seed 7",
        seed=7,
        engine="in-process",
        machine=Machine(
            platform="Linux-6.1-x86_64", processor="Made-up CPU", cores=2, python="3.11.7", torch="2.11.0"
        ),
        peak_memory_mb=1834.2,
        folds=tuple(
            Fold(status="completed", rounds=rounds, best_round=rounds * 3 // 4, seconds_per_round=1.42)
            for _ in range(folds)
        ),
        outcomes={
            name: Outcome(kind=TASKS[name].kind, metric=METRICS[TASKS[name].kind][0]) for name in tasks
        },
        hospitals={
            name: Hospital(
                patients=size,
                modalities={
                    "clinical": size,
                    "expression": int(size * 0.93),
                    "proteome": int(size * 0.4) if number % 3 else 0,
                },
                events={task: int(size * 0.3) for task in tasks},
            )
            for number, (name, size) in enumerate(zip(names, sizes.tolist(), strict=True))
        },
        tasks={task: _arms(task, folds, generator) for task in tasks},
        sites={
            task: {
                name: SiteScores(
                    patients=size,
                    labelled=size - 3,
                    federated=0.671,
                    local=float(generator.normal(0.574, 0.035)),
                    pooled=0.675,
                )
                for name, size in zip(names, sizes.tolist(), strict=True)
            }
            for task in tasks
        },
        paired={
            task: {
                "local": Difference(difference=0.097, low=0.071, high=0.122),
                "pooled": Difference(difference=-0.004, low=-0.014, high=0.007),
                "forest": Difference(difference=-0.013, low=-0.021, high=-0.003),
            }
            for task in tasks
        },
        history=tuple(_history(tasks, rounds, generator) for _ in range(folds)),
        withheld={names[-1]: {"expression_mean": 12, "proteome_mean": 40}},
        notes=("The random survival forest needs consilium[baselines].",),
    )


def _arms(task: str, folds: int, generator: np.random.Generator) -> dict[Arm, dict[str, MetricSummary]]:
    centres: dict[Arm, float] = {
        "federated": 0.671,
        "local": 0.574,
        "pooled": 0.675,
        "forest": 0.684,
        "mlp": 0.642,
    }
    centres["cox" if task == "overall_survival" else "logistic"] = 0.665
    return {
        arm: {
            metric: _summary(0.19 if metric == "integrated_brier" else centre, folds, generator)
            for metric in METRICS[TASKS[task].kind]
        }
        for arm, centre in centres.items()
    }


def _summary(centre: float, folds: int, generator: np.random.Generator) -> MetricSummary:
    per_fold = (centre + generator.normal(0, 0.02, folds)).tolist()
    groups = [{cancer: float(generator.normal(centre, 0.05)) for cancer in CANCERS} for _ in per_fold]
    mean = float(np.mean(per_fold))
    return summarise(per_fold, groups, (mean - 0.031, mean + 0.029))


def _history(tasks: tuple[str, ...], rounds: int, generator: np.random.Generator) -> tuple[RoundScores, ...]:
    fall = np.exp(-np.arange(rounds) / 8)
    noise = generator.normal(0, 0.01, (3, rounds))
    return tuple(
        RoundScores(
            round=number + 1,
            training_loss=float(1.1 + 0.9 * fall[number] + noise[0, number]),
            validation_loss=float(1.3 + 0.7 * fall[number] + noise[1, number]),
            scores={task: float(0.67 - 0.15 * fall[number] + noise[2, number]) for task in tasks},
        )
        for number in range(rounds)
    )


def made_up_evidence(
    patients: int = 300, folds: int = 2, tasks: tuple[str, ...] = tuple(TASKS)
) -> PatientEvidence:
    generator = np.random.default_rng(11)
    return PatientEvidence(
        {
            task: TaskEvidence(
                TASKS[task], [_held_out(TASKS[task], patients, generator) for _ in range(folds)]
            )
            for task in tasks
        }
    )


def _held_out(task: Task, patients: int, generator: np.random.Generator) -> HeldOutPatients:
    risk = generator.normal(size=patients)
    labels, prediction = _outcome(task, risk, generator)
    labelled = np.broadcast_to(generator.random((patients, 1)) > 0.05, labels.shape)
    return HeldOutPatients(labels, labelled, prediction, generator.choice(CANCERS, patients).tolist())


def _outcome(task: Task, risk: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, Prediction]:
    seen = risk + generator.normal(0, 1.0, len(risk))
    if isinstance(task, SurvivalTask):
        event = 1500 * np.exp(-0.7 * risk) * generator.weibull(1.2, len(risk))
        censored = generator.uniform(100, 4500, len(risk))
        times = np.linspace(300, 6000, 12)
        survival = np.exp(-((times / (1500 * np.exp(-0.7 * seen[:, None]))) ** 1.2))
        labels = np.stack([np.minimum(event, censored), event <= censored], axis=1)
        return labels, SurvivalPrediction(seen, times, survival)
    if isinstance(task, ResponseTask):
        responded = generator.random(len(risk)) < 1 / (1 + np.exp(-1.5 * risk))
        probability = 1 / (1 + np.exp(-seen))
        return responded[:, None].astype(float), ClassPrediction(
            np.stack([1 - probability, probability], axis=1)
        )
    difficulty = np.linspace(0.2, 2, task.outputs)
    logit = risk[:, None] * difficulty - 1.2
    toxic = generator.random(logit.shape) < 1 / (1 + np.exp(-logit))
    noisy = seen[:, None] * difficulty - 1.2
    return toxic.astype(float), LabelPrediction(1 / (1 + np.exp(-noisy)))
