"""Sections of the federation file about training, statistics, participants, rounds and wire."""

import math
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from common.agreed import Agreed, HospitalName, NameOf, Problem, about
from common.agreement.strategy_names import PATTERN

MOST_LINEAR_ROUNDS = 1000
"""Rounds that fit linear scores, of which some twenty are enough."""


class Training(Agreed):
    """Settings of local training.

    Rates are per local step. Under `Privacy`, which has its own steps and rate, `patience`, `validation_fraction`,
    `calibration_fraction`, `test_fraction`, `local_epochs`, `batch_size`, `learning_rate`, `weight_decay`,
    `linear_rounds` and `linear_penalty` have no part.
    """

    strategy: str = Field(
        default="fedavg",
        pattern=PATTERN,
        description="How the coordinator makes the next weights of the hospitals' answers: `fedavg` averages, "
        "`fedprox` also pulls local training to the common weights, `fedadam` and `fedyogi` take adaptive steps.",
        json_schema_extra=about(
            example="fedprox",
            change="Try `fedprox` where hospitals differ much; compare in a simulation first.",
        ),
    )
    rounds: int = Field(
        default=30,
        ge=1,
        le=10_000,
        description="Number of rounds: in each, every hospital trains on its patients once.",
        json_schema_extra=about(
            example=40,
            change="Raise it while the validation loss still falls in the last rounds; every round costs privacy.",
        ),
    )
    patience: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Rounds whose validation loss is clearly above the lowest, after which the run ends early.",
        json_schema_extra=about(
            example=5, change="Lower it to end runs sooner; it does nothing under privacy.", unit="rounds"
        ),
    )
    validation_fraction: float = Field(
        default=0.15,
        gt=0,
        lt=0.5,
        description="Share of a hospital's patients that do not train but choose the round that is kept.",
        json_schema_extra=about(
            example=0.2, change="Raise it where hospitals have few events; it does nothing under privacy."
        ),
    )
    calibration_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of a hospital's patients that neither train nor choose the round: they are kept for the "
        "intervals of predictions.",
        json_schema_extra=about(
            example=0.15,
            change="Set it, with hundreds of patients, to have predictions with intervals of known coverage.",
        ),
    )
    test_fraction: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of a hospital's patients that neither train, nor choose the round, nor calibrate: the kept "
        "model is tested on them alone, by sums.",
        json_schema_extra=about(
            example=0.2, change="Set it to have a test of the model on patients whom no training saw."
        ),
    )
    local_epochs: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Passes over its own patients that a hospital makes in a round.",
        json_schema_extra=about(
            example=2,
            change="Raise it to need fewer rounds; weights of different hospitals then drift apart, and "
            "`policy.maximum_reach` of a hospital may decline it.",
        ),
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        le=100_000,
        description="Patients in one local step.",
        json_schema_extra=about(
            example=32,
            change="Raise it for hospitals with thousands of patients, whose many small steps move weights too far.",
            unit="patients",
        ),
    )
    learning_rate: float = Field(
        default=3e-3,
        gt=0,
        le=1,
        description="Length of a local step of AdamW, at the first round; it falls by half a cosine.",
        json_schema_extra=about(
            example=0.001, change="Lower it if training diverges or is declined as too far."
        ),
    )
    weight_decay: float = Field(
        default=1e-2,
        ge=0,
        le=1,
        description="Pull of local training towards weights of 0.",
        json_schema_extra=about(
            example=0.05, change="Raise it if training loss falls and validation loss rises."
        ),
    )
    proximal_mu: float = Field(
        default=0.1,
        ge=0,
        le=10_000,
        description='Strength of the pull to the common weights; for `strategy = "fedprox"` alone.',
        json_schema_extra=about(example=0.01, change="Try 0.001 to 1 with `fedprox`."),
    )
    server_learning_rate: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="Length of the coordinator's step; for `fedadam` and `fedyogi` alone.",
        json_schema_extra=about(example=0.003, change="Try 0.001 to 0.03 with `fedadam` or `fedyogi`."),
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**31,
        description="Seed of the first weights and of every hospital's split into training and validation.",
        json_schema_extra=about(
            example=1, change="Change nothing else to train another member of an ensemble."
        ),
    )
    contrastive_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight of a loss that compares two views of the same patient, beside the tasks' losses.",
        json_schema_extra=about(
            example=0.1, change="Try it, in a simulation first, where many patients lack a label."
        ),
    )
    learn_task_weights: bool = Field(
        default=True,
        description="Whether the weights of several tasks in the loss are learnt; else tasks count alike.",
        json_schema_extra=about(
            example=False, change="Set it to false under `[privacy]` with two or more tasks."
        ),
    )
    linear_rounds: int | None = Field(
        default=None,
        ge=0,
        le=MOST_LINEAR_ROUNDS,
        description="First rounds, in which hospitals send gradients of the linear scores alone and the coordinator "
        "fits the scores; the other rounds train what is added to them. Left out: none at hospitals, and in a "
        "simulation half of the rounds and at most 20.",
        json_schema_extra=about(
            example=20,
            change="Set it for small cohorts with thousands of columns. The gradients are exact, and every "
            "hospital has "
            "to allow them by `policy.maximum_linear_rounds`.",
            unit="rounds",
        ),
    )
    linear_penalty: float = Field(
        default=20.0,
        gt=0,
        le=1e6,
        description="Ridge penalty of the linear scores.",
        json_schema_extra=about(
            example=50, change="Raise it with fewer events; `consilium tune` searches it."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Shares that leave nobody to train."""
        if self.validation_fraction + self.calibration_fraction + self.test_fraction >= 1:
            what = (
                "validation, calibration and test fractions add up to 1 or more, and nobody is left to train"
            )
            yield Problem(("validation_fraction",), what, "lower them until they add up to less than 1")

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
    """Exact numbers and losses that leave a hospital without privacy."""

    minimum_count: int = Field(
        default=5,
        ge=1,
        le=1_000_000,
        description="Fewest patients behind an exact number that leaves a hospital: sums of a column are "
        "withheld where "
        "fewer lie outside its commonest value.",
        json_schema_extra=about(
            example=10,
            change="Raise it to what your data access committees ask for, often 10 or 11.",
            unit="patients",
        ),
    )
    loss_noise: float = Field(
        default=LOSS_NOISE,
        ge=0,
        le=1e6,
        description="Standard deviation of the noise on sums of losses and pairs, in units of the most that one "
        "patient "
        "adds.",
        json_schema_extra=about(
            example=4.0,
            change="Raise it to blur what the losses tell of single patients; 0 sends exact sums.",
        ),
    )
    explanations: bool = Field(
        default=False,
        description="Whether hospitals tell, with the other sums about the trained model, sums of contributions by "
        "modality and pathway over their held-out patients; with privacy over all of them, with noise.",
        json_schema_extra=about(
            example=True, change="Set it to true to see what the model follows in all hospitals."
        ),
    )
    far: Literal["warn", "stop"] = Field(
        default="warn",
        description="What follows where a hospital's column or follow-up lies far from the others': `warn` both sides, "
        "or `stop` the run before its first round.",
        json_schema_extra=about(
            example="stop", change="Write `stop` to have nothing trained on a wrong unit."
        ),
    )


LARGEST_COHORT = 10**9
"""Patients of one hospital that a federation file can declare."""


class Participant(Agreed):
    """One hospital by name."""

    name: HospitalName = Field(
        description="Name of the hospital, as its `site.toml` and its enrolment have it.",
        json_schema_extra=about(
            example="University Hospital A", change="Write one table for every hospital."
        ),
    )
    key_fingerprint: str | None = Field(
        default=None,
        description="Fingerprint of the hospital's node key, as `consilium site init` prints it.",
        json_schema_extra=about(
            example="SHA256:...",
            change="Give it to fix, by the hospitals' approval, which key speaks for a hospital.",
        ),
    )
    patients: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_COHORT,
        description="The most patients that the hospital takes part with, which bound its weight in every "
        "average. Left "
        "out for all hospitals, all weigh alike.",
        json_schema_extra=about(
            example=500,
            change="Declare it for all hospitals or for none; without it a hospital of 10,000 is assumed, and its "
            "policy may decline how far a round may move weights.",
            unit="patients",
        ),
    )


LONGEST_WAIT_S = 30 * 24 * 3600
"""Seconds that a round may take at most, 30 days."""


class Rounds(Agreed):
    """Quorum and time limits of a round."""

    quorum: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="Share of participants that must reply for a round to count.",
        json_schema_extra=about(
            example=1.0, change="Set 1.0 where no hospital may be missing from the model."
        ),
    )
    deadline_s: float = Field(
        default=3600,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Time for the replies to one request, and before the first for a quorum to connect.",
        json_schema_extra=about(
            example=86400,
            change="Raise it where hospitals train on slow machines or connect at night.",
            unit="seconds",
        ),
    )
    assembly_s: float = Field(
        default=60,
        gt=0,
        le=LONGEST_WAIT_S,
        description="Time that a run which begins waits for the other participants once a quorum is connected.",
        json_schema_extra=about(
            example=600, change="Raise it where hospitals start their service by hand.", unit="seconds"
        ),
    )


class Wire(Agreed):
    """Encoding of a hospital's update (`common.messages.compression`).

    What precision an encoding loses is made up for in later rounds.
    """

    update: Literal["float32", "float16", "int8", "top-k"] = Field(
        default="float32",
        description="What a hospital sends of its trained weights: `float32`, the weights themselves; else "
        "their change "
        "as `float16`, `int8` or the largest entries (`top-k`).",
        json_schema_extra=about(
            example="float16", change="Change it where a model of many megabytes meets a slow line."
        ),
    )
    share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description='Share of the entries that are sent, for `update = "top-k"` alone, which needs it.',
        json_schema_extra=about(
            example=0.1, change="Give it with `top-k`: 0.1 is a tenth of the bytes or less."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """A share without top-k, or top-k without a share."""
        if (self.share is None) == (self.update == "top-k"):
            what = "share is for update = top-k, which needs it, such as share = 0.1"
            remedy = "add share = 0.1" if self.share is None else 'remove it, or write update = "top-k"'
            yield Problem(("share",), what, remedy)
