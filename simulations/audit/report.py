"""`audit.json`: every figure of an audit, and no patient's."""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from common.files import write_whole
from simulations.results.machine import Machine, Score


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Record):
    """A figure over all attacked models, and its 95% interval over models."""

    value: float
    low: float
    high: float


class Attack(_Record):
    """How well an attack tells members from others; `curve` is its ROC, thinned: false-, true-positive rates."""

    auc: Figure
    true_positives: Figure
    curve: tuple[tuple[float, float], ...]


class Canaries(_Record):
    """One run with canaries: `bound` is what refutes smaller epsilons, `ceiling` the most it could have been."""

    canaries: int
    guesses: int
    correct: int
    bound: float
    ceiling: float


class Row(_Record):
    """One way of training.

    Attributes:
        claimed: epsilon of the whole run by the accountants; None without privacy.
        noise_multiplier: None without privacy.
        loss, lira: the attacks.
        one_run: canaries.
        scores: task -> mean and standard deviation over models of the headline metric on other patients.
        member_loss, other_loss: mean loss of patients trained on, and of those who were not.
        seconds: all of this row.
    """

    name: str
    claimed: Score
    noise_multiplier: float | None
    loss: Attack
    lira: Attack
    one_run: Canaries
    scores: dict[str, tuple[float, float]]
    member_loss: float
    other_loss: float
    seconds: float

    @property
    def refuted(self) -> bool:
        """Whether the run shows more than it claims to tell."""
        return self.claimed is not None and self.one_run.bound > self.claimed


class Audit(_Record):
    """The whole audit; `metrics` names each task's headline metric."""

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
