"""Record `result.json`: all figures of a simulated run over patients, and no patient's row.

The schema is described field by field in `docs/result-schema.md`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self, TypeGuard, get_args

import numpy as np
from pydantic import Field

from common.files import write_whole
from common.models.activity import Activity
from simulations.results.machine import Machine, Record, Score
from simulations.results.reasons import Absent, Reason
from simulations.results.spread import HospitalSpread
from simulations.results.validation import SimulatedValidation

Arm = Literal[
    "federated",
    "federated_linear",
    "local",
    "local_linear",
    "pooled",
    "cox",
    "logistic",
    "ridge",
    "forest",
    "mlp",
    "null",
]


ARMS: tuple[Arm, ...] = get_args(Arm)


def is_arm(name: str) -> TypeGuard[Arm]:
    """Return whether an arm of the result has this name; private runs have other names."""
    return name in ARMS


ARM_NAMES: dict[Arm, str] = {
    "federated": "Federated",
    "federated_linear": "Federated linear",
    "local": "Each hospital alone",
    "local_linear": "Each alone, linear",
    "pooled": "Same network, pooled data",
    "cox": "Penalised Cox, pooled",
    "logistic": "Penalised logistic, pooled",
    "ridge": "Ridge regression, pooled",
    "forest": "Random forest, pooled",
    "mlp": "MLP, pooled",
    "null": "Null model: same for all",
}


Interval = tuple[Score, Score]
"""Low and high end of a 95% interval."""


UNKNOWN: Interval = (None, None)


MISSING = "—"


class MetricSummary(Record):
    """Metric of one arm on held-out patients; `groups` are means over folds."""

    mean: Score
    sd: Score
    per_fold: tuple[Score, ...]
    groups: dict[str, Score] = Field(default_factory=dict)
    interval: Interval = UNKNOWN


class SiteScores(Record):
    """Headline metric of a hospital's own model, the federated and the pooled one.

    All are scored on the held-out patients of all hospitals.

    Attributes:
        held_out: the hospital's own patients with a label among the held-out ones.
        intervals: `federated`, `local` or `pooled` -> interval of that figure.
        gain: federated minus own model, on the same patients of the folds in which there is an own model.
        own_patients: both models on the hospital's own held-out patients alone; None where these are too few, or the
            hospital has no model of its own.
        reasons: for what is missing.
    """

    patients: int = Field(ge=0)
    labelled: int = Field(ge=0)
    held_out: int = Field(default=0, ge=0)
    federated: Score = None
    local: Score = None
    pooled: Score = None
    intervals: dict[Arm, Interval] = Field(default_factory=dict)
    gain: "Difference | None" = None
    own_patients: "OwnPatients | None" = None
    reasons: tuple[Reason, ...] = ()


class OwnPatients(Record):
    """Headline metric of a hospital's own and the federated model on its own held-out patients.

    Attributes:
        patients: with an outcome, in the folds in which they are enough and the hospital has a model of its own.
        events: those of them with the event, or cases; None for a task without any.
        local, federated: mean over these folds.
        intervals: of both.
        gain: federated minus own model, over the same draws of patients.
    """

    patients: int = Field(ge=0)
    events: int | None = Field(default=None, ge=0)
    local: Score = None
    federated: Score = None
    intervals: dict[Arm, Interval] = Field(default_factory=dict)
    gain: "Difference"


class GroupScores(Record):
    """Headline metric among the patients of one group, mean over folds.

    Attributes:
        patients: held-out patients with an outcome, of the folds in which they are enough for a score.
        events: those of them with the event, or cases; None for a task without any, and in earlier files.
        scores: arm -> metric; empty for too few patients of an outcome.
        interval: of the federated arm.
        intervals: of the other arms with one model each.
    """

    patients: int = Field(ge=0)
    events: int | None = Field(default=None, ge=0)
    scores: dict[Arm, Score]
    interval: Interval = UNKNOWN
    intervals: dict[Arm, Interval] = Field(default_factory=dict)


class Judgement(StrEnum):
    """Judgement on a difference that its 95% interval allows."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


class Difference(Record):
    """Federated minus another arm in the headline metric, over the same patients."""

    difference: Score
    low: Score
    high: Score

    @property
    def verdict(self) -> Judgement:
        """Judgement on the federated arm: better or worse only if 0 is outside the interval."""
        if self.difference is None or self.low is None or self.high is None:
            return Judgement.UNKNOWN
        if self.low > 0:
            return Judgement.BETTER
        return Judgement.WORSE if self.high < 0 else Judgement.UNDECIDED

    @property
    def reversed(self) -> "Difference":
        """The other arm minus the federated one."""
        return Difference(difference=_minus(self.difference), low=_minus(self.high), high=_minus(self.low))


def _minus(figure: Score) -> Score:
    return None if figure is None else -figure


class PrivateRun(Record):
    """Federated run under patient-level differential privacy: terms, cost and scores.

    Attributes:
        epsilon: target for which the noise was chosen; None if the federation file gave the noise.
        delta: delta of `epsilon` and of `spent`.
        spent: epsilon by the hospitals' ledgers, the largest over hospitals and folds; every fold is a separate run.
        steps: private steps per round.
        rounds: planned rounds.
        tasks: task -> metric -> figures, on the same held-out patients as the arms.
        paired: task -> federated arm without privacy minus this run; empty if there is no such arm.
    """

    epsilon: float | None
    delta: float
    spent: Score
    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    steps: int
    rounds: int
    learn: Literal["all", "linear"]
    statistics: Literal["declared", "noised", "public"]
    tasks: dict[str, dict[str, MetricSummary]]
    paired: dict[str, Difference] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the run in the row of a table."""
        return "Federated" if self.epsilon is None else f"Federated, epsilon {self.epsilon:g}"


class Outcome(Record):
    """Kind of a task, the metric that compares its arms, and the held-out patients behind it.

    Attributes:
        held_out: patients with a label in the test sets of the folds that were run; None in earlier files.
        events: those of them with the event, or cases; None for a task without any, and in earlier files.
    """

    kind: str
    metric: str
    unit: str = ""
    names: tuple[str, ...] = ()
    held_out: int | None = Field(default=None, ge=0)
    events: int | None = Field(default=None, ge=0)

    @property
    def size(self) -> str:
        """Held-out patients and events in words; empty where they are not known."""
        if self.held_out is None:
            return ""
        patients = f"{self.held_out:,} held-out patient{'' if self.held_out == 1 else 's'}"
        return patients if self.events is None else f"{patients}, {self.events:,} with the event"


class Hospital(Record):
    """Size of one hospital: patients, patients per modality, and events (or cases) per task.

    `held_out` has, by task, the patients with a label in the test sets of all folds that were run.
    """

    patients: int = Field(ge=0)
    modalities: dict[str, int] = Field(default_factory=dict)
    events: dict[str, int] = Field(default_factory=dict)
    held_out: dict[str, int] = Field(default_factory=dict)


class FederationName(Record):
    """Name and digest of the federation file."""

    name: str
    digest: str


class FoldActivity(Record):
    """Activity of the federated model's parts on training patients, at first and kept weights."""

    initial: Activity
    kept: Activity


class Fold(Record):
    """End of a fold; `partial` if it was stopped before its last round.

    `activity` is None where the model offers no parts. `absent` has the hospitals without a part in a federated run.
    """

    status: Literal["completed", "partial"]
    rounds: int = Field(ge=0)
    best_round: int | None = None
    seconds_per_round: Score = None
    activity: FoldActivity | None = None
    absent: tuple[Absent, ...] = ()


class RoundScores(Record):
    """Losses, and validation scores by task, that hospitals reported for the weights of a round."""

    round: int
    training_loss: Score = None
    validation_loss: Score = None
    scores: dict[str, Score] = Field(default_factory=dict)


class SimulationResult(Record):
    """Result of a simulated run."""

    schema_version: Literal[1] = 1
    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    cohort: str
    federation: FederationName
    command: str | None = None
    seed: int
    engine: str
    machine: Machine
    seconds: Score = None
    peak_memory_mb: Score = None
    folds: tuple[Fold, ...] = Field(min_length=1)
    outcomes: dict[str, Outcome]
    hospitals: dict[str, Hospital]
    tasks: dict[str, dict[Arm, dict[str, MetricSummary]]]
    sites: dict[str, dict[str, SiteScores]] = Field(default_factory=dict)
    divisions: dict[str, dict[str, dict[str, GroupScores]]] = Field(default_factory=dict)
    spread: dict[str, HospitalSpread] = Field(default_factory=dict)
    paired: dict[str, dict[Arm, Difference]] = Field(default_factory=dict)
    privacy: tuple[PrivateRun, ...] = ()
    validation: dict[str, SimulatedValidation] = Field(default_factory=dict)
    history: tuple[tuple[RoundScores, ...], ...] = ()
    withheld: dict[str, dict[str, int]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def arms(self, task: str) -> list[Arm]:
        """List the arms of a task in the order in which they are shown."""
        return [arm for arm in ARMS if arm in self.tasks[task]]

    def compared(self, task: str) -> bool:
        """Return whether other arms ran beside the federated one."""
        return len(self.arms(task)) > 1 or bool(self.planned)

    def headline(self, task: str, arm: Arm) -> MetricSummary | None:
        """Metric that compares the arms, or None if the arm was not run."""
        return self.tasks[task].get(arm, {}).get(self.outcomes[task].metric)

    def private_headline(self, task: str, run: PrivateRun) -> MetricSummary | None:
        """Metric of a private run that compares it with the arms."""
        return run.tasks.get(task, {}).get(self.outcomes[task].metric)

    @property
    def planned(self) -> list[PrivateRun]:
        """Private runs beside the federated arm, each for a target epsilon."""
        return [run for run in self.privacy if run.epsilon is not None]

    @property
    def agreed(self) -> PrivateRun | None:
        """Terms and cost of the federated arm itself, if its federation file has privacy."""
        return next((run for run in self.privacy if run.epsilon is None), None)

    @property
    def kept(self) -> Literal["latest", "mean"]:
        """Weights that a fold keeps: of a round near the lowest loss, or a mean of rounds.

        The mean is kept under the federation file's privacy, as no loss leaves a hospital then.
        """
        return "mean" if self.agreed else "latest"

    def write(self, path: Path) -> None:
        """Write the result as JSON, whole or not at all."""
        write_whole(path, self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a written result.

        Raises:
            pydantic.ValidationError: if the file does not follow the schema.
        """
        return cls.model_validate_json(path.read_bytes())


def summarise(
    per_fold: Sequence[float | None],
    groups_per_fold: Sequence[Mapping[str, float | None]] = (),
    interval: tuple[float | None, float | None] = UNKNOWN,
) -> MetricSummary:
    """Mean and sample standard deviation over folds, without undefined ones (None, NaN).

    Args:
        per_fold: metric by fold.
        groups_per_fold: metric by subgroup, by fold; a subgroup may be missing in a fold.
        interval: 95% interval of the metric.
    """
    mean, sd = _mean_sd(per_fold)
    names = dict.fromkeys(name for groups in groups_per_fold for name in groups)
    groups = {name: _mean_sd(fold.get(name) for fold in groups_per_fold)[0] for name in names}
    return MetricSummary(mean=mean, sd=sd, per_fold=tuple(per_fold), groups=groups, interval=interval)


def _mean_sd(figures: Iterable[float | None]) -> tuple[float | None, float | None]:
    defined = [figure for figure in figures if figure is not None and math.isfinite(figure)]
    mean = float(np.mean(defined)) if defined else None
    return mean, float(np.std(defined, ddof=1)) if len(defined) > 1 else None


def interval_text(mean: float | None, interval: Interval) -> str:
    """Format a figure and its interval, as in `0.671 (0.640 to 0.702)`; a dash if undefined."""
    if mean is None:
        return MISSING
    low, high = interval
    return f"{mean:.3f}" if low is None or high is None else f"{mean:.3f} ({low:.3f} to {high:.3f})"
