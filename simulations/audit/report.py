"""Record `audit.json`: all figures of an audit, and no patient's."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field

from common.files import write_whole
from simulations.results.machine import Machine, Record, Score


class Estimate(Record):
    """Figure over all attacked models, with its 95% interval over models."""

    value: float
    low: float
    high: float


class Attack(Record):
    """Success of an attack; `curve` is its thinned ROC of (false-, true-positive rate)."""

    auc: Estimate
    true_positives: Estimate
    curve: tuple[tuple[float, float], ...]


class CanaryRun(Record):
    """Figures of one run with canaries.

    Attributes:
        canaries, guesses, correct: numbers of canaries, of guesses and of right guesses.
        bound: lower bound on epsilon with 95% confidence, at the delta of the audit.
        ceiling: bound if all guesses had been right; so many canaries cannot show a larger epsilon.
    """

    canaries: int
    guesses: int
    correct: int
    bound: float
    ceiling: float


class Row(Record):
    """Figures of one way of training.

    Attributes:
        claimed: epsilon of the whole run by the accountants; None without privacy.
        noise_multiplier: noise of training; None without privacy.
        loss, lira: attacks on the loss.
        one_run: run with canaries.
        scores: task -> mean and standard deviation over models of the headline metric on other patients.
        member_loss, other_loss: mean loss of patients who trained the models, and of others.
        seconds: seconds for this row.
    """

    name: str
    claimed: Score
    noise_multiplier: float | None
    loss: Attack
    lira: Attack
    one_run: CanaryRun
    scores: dict[str, tuple[float, float]]
    member_loss: float
    other_loss: float
    seconds: float

    @property
    def refuted(self) -> bool:
        """Return whether the run gives away more than it claims."""
        return self.claimed is not None and self.one_run.bound > self.claimed


class Audit(Record):
    """Whole audit; `metrics` names each task's headline metric."""

    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    command: str
    machine: Machine
    seconds: float
    seed: int
    patients: int
    models: int
    rounds: int
    delta: float
    metrics: dict[str, str]
    rows: tuple[Row, ...]

    def write(self, folder: Path) -> None:
        """Write `audit.json`, whole or not at all."""
        write_whole(folder / "audit.json", self.model_dump_json(indent=2).encode() + b"\n")
