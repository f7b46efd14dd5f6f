"""Sections of the federation file about model, training, privacy, rounds and wire."""

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from common.agreed import Agreed, HospitalName, NameOf
from common.agreement.strategy_names import PATTERN

MOST_LINEAR_ROUNDS = 1000
"""Rounds that fit linear scores, of which some twenty are enough."""


LEAST_NOISE, MOST_NOISE = 0.01, 1e6
"""Noise multipliers that are accounted for: below is hardly any noise, above is nothing but noise."""


class PublicFile(Agreed):
    """A file beside the federation file or in a folder below, fixed by its content."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("path")
    @classmethod
    def _stays_beside(cls, path: str) -> str:
        parts = path.split("/")
        if (
            not path.isprintable()
            or "\\" in path
            or PureWindowsPath(path).anchor
            or {"", ".", ".."} & {*parts}
        ):
            raise ValueError("must be a relative path below the federation file, without .. or a backslash")
        return path

    @classmethod
    def of(cls, folder: Path, path: str) -> Self:
        """Describe `folder / path` as it is now."""
        return cls(path=path, sha256=hashlib.sha256((folder / path).read_bytes()).hexdigest())


class PriorGraph(Agreed):
    """Public knowledge shared by all patients.

    `edges` is a CSV with columns `a,b` (gene or protein symbols, STRING); `pathways` has columns
    `pathway,gene` (Reactome, Hallmark); `hierarchy` has columns `parent,child` (pathways).
    """

    edges: PublicFile | None = None
    pathways: PublicFile | None = None
    hierarchy: PublicFile | None = None


class Training(Agreed):
    """Settings of local training.

    Rates are per local step; `proximal_mu` is used by `fedprox` only.

    Under `Privacy`, which has its own steps and rate, `patience`, `validation_fraction`, `calibration_fraction`,
    `test_fraction`, `local_epochs`, `batch_size`, `learning_rate`, `weight_decay`, `linear_rounds` and
    `linear_penalty` have no part.

    Attributes:
        calibration_fraction: share of a site's units that neither train nor choose the round: they are kept for the
            intervals of predictions.
        test_fraction: share of a site's units that neither train, nor choose the round, nor calibrate: the kept model
            is tested on them alone, by sums.
        linear_rounds: first rounds, in which hospitals send gradients of the linear scores alone, and the coordinator
            fits the scores by them; they then stay as they are, and the other rounds train what is added to them. Where
            a file does not say, hospitals have no such rounds, and a simulation chooses their number.
        linear_penalty: ridge penalty of these scores.
    """

    strategy: str = Field(default="fedavg", pattern=PATTERN, description="a name of `strategy_names()`")
    rounds: int = Field(default=30, ge=1, le=10_000)
    patience: int = Field(
        default=10, ge=1, le=10_000, description="rounds whose validation loss is clearly above the lowest"
    )
    validation_fraction: float = Field(default=0.15, gt=0, lt=0.5)
    calibration_fraction: float = Field(default=0.0, ge=0, lt=0.5)
    test_fraction: float = Field(default=0.0, ge=0, lt=0.5)
    local_epochs: int = Field(default=1, ge=1, le=100)
    batch_size: int = Field(default=16, ge=1, le=100_000)
    learning_rate: float = Field(default=3e-3, gt=0, le=1)
    weight_decay: float = Field(default=1e-2, ge=0, le=1)
    proximal_mu: float = Field(default=0.1, ge=0, le=10_000)
    server_learning_rate: float = Field(default=0.01, gt=0, le=1, description="fedadam, fedyogi")
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="of every site's split into training and validation"
    )
    contrastive_weight: float = Field(default=0.0, ge=0, le=100)
    learn_task_weights: bool = True
    linear_rounds: int | None = Field(default=None, ge=0, le=MOST_LINEAR_ROUNDS)
    linear_penalty: float = Field(default=20.0, gt=0, le=1e6)

    @model_validator(mode="after")
    def _leaves_somebody_to_train(self) -> Self:
        if self.validation_fraction + self.calibration_fraction + self.test_fraction >= 1:
            raise ValueError(
                "validation, calibration and test fractions add up to less than 1: the others train"
            )
        return self

    def decay(self, round_: int, after: int = 0) -> float:
        """Return the factor of the learning rate in a round, half a cosine after `after` others."""
        return 0.5 * (1 + math.cos(math.pi * (round_ - 1 - after) / (self.rounds - after)))

    def registered_names(self) -> Iterator[tuple[NameOf, str]]:
        """The strategy."""
        yield NameOf.STRATEGY, self.strategy


def held_out(units: int, fraction: float) -> int:
    """Return the number of a site's units that validate, by the `validation_fraction`."""
    return max(1, round(units * fraction))


def set_aside(units: int, training: Training) -> tuple[int, int, int]:
    """Return the numbers of a site's units that validate, calibrate and test; none trains."""
    validating = held_out(units, training.validation_fraction)
    calibrating = min(round(units * training.calibration_fraction), units - validating)
    testing = round(units * training.test_fraction)
    return validating, calibrating, min(testing, units - validating - calibrating)


LOSS_NOISE = 2.0
"""Standard deviation of the noise on sums of losses, for a file that does not say another."""


class Statistics(Agreed):
    """Exact numbers and losses that leave a hospital without privacy.

    Attributes:
        minimum_count: a site withholds a statistic of a column in which fewer patients lie outside the commonest value.
        loss_noise: standard deviation of the noise on sums of losses, in units of the most that one patient adds.
        explanations: whether hospitals tell, with the other sums about the trained model, sums of contributions by
            modality and pathway over their held-out patients; with privacy over all of them, with noise.
        far: what follows where a hospital's column or follow-up lies far from the others': `warn` both sides, or `stop`
            the run before its first round.
    """

    minimum_count: int = Field(default=5, ge=1, le=1_000_000)
    loss_noise: float = Field(default=LOSS_NOISE, ge=0, le=1e6)
    explanations: bool = False
    far: Literal["warn", "stop"] = "warn"


class Privacy(Agreed):
    """Constants of patient-level differential privacy.

    A hospital computes its releases with these constants or stricter ones.

    Every step takes each patient with probability `sampling_rate`, clips the patient's gradient to `clip_norm`, adds
    normal noise of standard deviation noise_multiplier x clip_norm and divides by `expected_batch_size`. None of them
    is ever derived from a cohort, whose size is private. Hospitals then count alike in averages: sums over patients,
    divided by the same number everywhere, average to the sum over all patients.

    Attributes:
        steps: private steps per round.
        learning_rate: of the private steps, plain gradient descent.
        learn: `all` parameters, or `linear`: additive scores and biases of the heads alone, which noise drowns less.
        statistics: where scaling and hazard intervals come from: `declared`, the typical ranges of this file, and
            nothing leaves; `noised`, sums with normal noise, which cost budget; `public`, exact sums that the
            hospitals agree to disclose outside the guarantee.
        statistics_noise_multiplier: of the noised sums.
        explanations_noise_multiplier: of the noised sums of contributions, which cost budget once in a run; None where
            `statistics.explanations` asks for none.
        delta: at which this federation's own plan is stated; a hospital's policy has its own.
    """

    noise_multiplier: float = Field(ge=LEAST_NOISE, le=MOST_NOISE)
    clip_norm: float = Field(default=1.0, ge=1e-6, le=1e6)
    sampling_rate: float = Field(ge=1e-6, le=1)
    expected_batch_size: float = Field(ge=1e-3, le=1e9)
    steps: int = Field(default=1, ge=1, le=100_000)
    learning_rate: float = Field(default=4.0, gt=0, le=1e4)
    learn: Literal["all", "linear"] = "linear"
    statistics: Literal["declared", "noised", "public"] = "declared"
    statistics_noise_multiplier: float = Field(default=10.0, ge=LEAST_NOISE, le=MOST_NOISE)
    explanations_noise_multiplier: float | None = Field(default=None, ge=LEAST_NOISE, le=MOST_NOISE)
    delta: float = Field(default=1e-3, gt=0, lt=1)


LARGEST_COHORT = 10**9
"""Patients of one hospital that a federation file can declare."""


class Participant(Agreed):
    """One hospital by name.

    Attributes:
        key_fingerprint: of its node key, once it is enrolled.
        patients: the most patients that it takes part with, which bound its weight in every average.
    """

    name: HospitalName
    key_fingerprint: str | None = None
    patients: int | None = Field(default=None, ge=1, le=LARGEST_COHORT)


LONGEST_WAIT_S = 30 * 24 * 3600
"""Seconds that a round may take at most, 30 days."""


class Rounds(Agreed):
    """Quorum and time limits of a round.

    Attributes:
        quorum: the share of participants that must reply.
        deadline_s: seconds for the replies to one request, and before the first for a quorum to connect.
        assembly_s: seconds that a run which begins waits for the other participants once a quorum is connected.
    """

    quorum: float = Field(default=0.5, gt=0, le=1)
    deadline_s: float = Field(default=3600, gt=0, le=LONGEST_WAIT_S)
    assembly_s: float = Field(default=60, gt=0, le=LONGEST_WAIT_S)


class Wire(Agreed):
    """Encoding of a hospital's update (`common.messages.compression`).

    What precision an encoding loses is made up for in later rounds.

    Attributes:
        update: `float32`, the trained weights themselves; else their change as `float16`, `int8` or the `top-k`
            largest entries.
        share: of the entries, for `top-k` alone, which needs it.
    """

    update: Literal["float32", "float16", "int8", "top-k"] = "float32"
    share: float | None = Field(default=None, gt=0, lt=1)

    @model_validator(mode="after")
    def _shares_the_largest(self) -> Self:
        if (self.share is None) == (self.update == "top-k"):
            raise ValueError("share is for update = top-k, which needs it, such as share = 0.1")
        return self
