"""The `[privacy]` section of a federation file."""

from typing import Literal

from pydantic import Field

from common.agreed import Agreed, about

LEAST_NOISE, MOST_NOISE = 0.01, 1e6
"""Noise multipliers that are accounted for: below is hardly any noise, above is nothing but noise."""


class Privacy(Agreed):
    """Constants of patient-level differential privacy.

    A hospital computes its releases with these constants or stricter ones.

    Every step takes each patient with probability `sampling_rate`, clips the patient's gradient to `clip_norm`, adds
    normal noise of standard deviation noise_multiplier x clip_norm and divides by `expected_batch_size`. None of them
    is ever derived from a cohort, whose size is private. Hospitals then count alike in averages: sums over patients,
    divided by the same number everywhere, average to the sum over all patients.
    """

    noise_multiplier: float = Field(
        ge=LEAST_NOISE,
        le=MOST_NOISE,
        description="Noise of a private step, in units of `clip_norm`: the more, the smaller epsilon.",
        json_schema_extra=about(
            example=5.7, change="Plan it for your epsilon, rounds and patients by `consilium privacy plan`."
        ),
    )
    clip_norm: float = Field(
        default=1.0,
        ge=1e-6,
        le=1e6,
        description="Largest length of one patient's gradient; longer ones are shortened to it.",
        json_schema_extra=about(
            example=0.5, change="Keep 1.0 unless a simulation shows that another one learns more."
        ),
    )
    sampling_rate: float = Field(
        ge=1e-6,
        le=1,
        description="Probability with which a patient takes part in a private step.",
        json_schema_extra=about(
            example=1.0,
            change="Keep 1.0 below some thousand patients; a lower one is cheaper and learns less in a step.",
        ),
    )
    expected_batch_size: float = Field(
        ge=1e-3,
        le=1e9,
        description="Number by which a hospital's sum of gradients is divided, the same at every hospital.",
        json_schema_extra=about(
            example=300.0,
            change="Write the mean number of training patients of a hospital, times `sampling_rate`.",
            unit="patients",
        ),
    )
    steps: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="Private steps in a round; each costs privacy.",
        json_schema_extra=about(
            example=2, change="Raise it to save rounds of waiting; the cost is that of so many rounds."
        ),
    )
    learning_rate: float = Field(
        default=4.0,
        gt=0,
        le=1e4,
        description="Length of a private step, plain gradient descent.",
        json_schema_extra=about(example=2.0, change="Lower it if private training diverges in a simulation."),
    )
    learn: Literal["all", "linear"] = Field(
        default="linear",
        description="What private training moves: `all` parameters, or the additive scores and biases of the heads "
        "alone (`linear`), which noise drowns less.",
        json_schema_extra=about(
            example="all", change="Try `all` with thousands of patients at every hospital."
        ),
    )
    statistics: Literal["declared", "noised", "public"] = Field(
        default="declared",
        description="Where scaling and hazard intervals come from: `declared`, the typical ranges of this file, and "
        "nothing leaves; `noised`, sums with noise, which cost budget; `public`, exact sums outside the guarantee.",
        json_schema_extra=about(
            example="noised", change="Keep `declared` and give every numeric column a `typical` range."
        ),
    )
    statistics_noise_multiplier: float = Field(
        default=10.0,
        ge=LEAST_NOISE,
        le=MOST_NOISE,
        description='Noise of the sums, with `statistics = "noised"` alone.',
        json_schema_extra=about(
            example=20.0, change="Raise it to spend less on scaling and more on training."
        ),
    )
    explanations_noise_multiplier: float | None = Field(
        default=None,
        ge=LEAST_NOISE,
        le=MOST_NOISE,
        description="Noise of the sums of contributions, which cost budget once in a run; left out where "
        "`statistics.explanations` asks for none.",
        json_schema_extra=about(example=10.0, change="Give it with `statistics.explanations = true`."),
    )
    delta: float = Field(
        default=1e-3,
        gt=0,
        lt=1,
        description="Probability at which this file's own plan states its epsilon; a hospital's policy has its own.",
        json_schema_extra=about(
            example=0.0001, change="Choose less than 1 / patients of the smallest hospital."
        ),
    )
