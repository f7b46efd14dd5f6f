"""A number, such as a score or a concentration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from common.agreed import Problem, about
from common.comparison.form import ValueForm
from common.errors import InvalidContentError
from common.tasks.task import Lack, Metric, OutcomeForm, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from torch import Tensor

    from common.evaluation.pairs import Pairs
    from common.evaluation.predictions import Prediction
    from common.tasks.labels import LabelProblem
    from common.tasks.task import Array, Mask

LEAST_DEVIATION = 0.01
"""Least standard deviation by which numbers are scaled, in half ranges: noise must not make it next to nothing."""

ROUNDING = 1e-3
"""Share of the half range by which rounding to float32 may move mean and deviation."""


class RegressionTask(Task):
    """Number between `low` and `high`, standardised over the federation, by squared error.

    Mean and standard deviation are of all hospitals' labelled training patients, from their counts, sums and sums of
    squares. Under privacy without such sums they are those of `typical`, or of the range.
    """

    form: ClassVar = OutcomeForm.NUMBER
    metrics: ClassVar = {"r2": Metric("R²"), "mae": Metric("Mean absolute error", lower_is_better=True)}

    kind: Literal["regression"] = Field(
        default="regression",
        description="A number, such as a score or a concentration.",
        json_schema_extra=about(example="regression", change="Write `regression` for a number."),
    )
    target: str = Field(
        description="Column of the number.",
        json_schema_extra=about(
            example="hba1c_at_12_months", change="Name the column as hospitals shall have it."
        ),
    )
    low: float = Field(
        description="Lowest plausible number: a table with a lower one is refused.",
        json_schema_extra=about(example=0, change="Choose it so wide that no true number lies outside."),
    )
    high: float = Field(
        description="Highest plausible number: a table with a higher one is refused.",
        json_schema_extra=about(example=200, change="Choose it so wide that no true number lies outside."),
    )
    unit: str = Field(
        default="",
        description="Unit of the number.",
        json_schema_extra=about(example="mmol/mol", change="Write it for a number that has one."),
    )
    typical: tuple[float, float] | None = Field(
        default=None,
        description="Range in which about two thirds of patients lie, from public knowledge.",
        json_schema_extra=about(
            example=[35, 60],
            change='Give it under `privacy.statistics = "declared"`; else the range stands for it.',
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Ends in the wrong order."""
        if not self.low < self.high:
            yield Problem(("low",), "low must be less than high", "exchange the two, or correct one")
        elif self.typical is not None and not self.low <= self.typical[0] < self.typical[1] <= self.high:
            what = "typical must be a low and a higher end, within low and high"
            yield Problem(("typical",), what, f"write two numbers between {self.low:g} and {self.high:g}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The number."""
        return (self.target,)

    @property
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        """No column of names."""
        return {}

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        """Name numbers outside the plausible range."""
        from common.tasks.labels import LabelProblem

        unit = f" {self.unit}" if self.unit else ""
        faults = (
            ((labels < self.low).any(), f"has numbers below the plausible {self.low:g}{unit}"),
            ((labels > self.high).any(), f"has numbers above the plausible {self.high:g}{unit}"),
        )
        remedy = f"give it in{unit}, or drop them" if unit else "correct or drop them"
        return labels, [LabelProblem(self.target, what, remedy) for wrong, what in faults if wrong]

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        """Return nothing beside labelled patients."""
        return {}

    def happened(self, labels: Tensor) -> Tensor:
        """Return that every patient has a number, [P] bool."""
        return labels[:, 0].isfinite()

    def lack(self, labels: Tensor, labelled: Tensor) -> Lack | None:
        """Return whether labels, or a second number among them, are missing."""
        numbers = labels[labelled[:, 0], 0].unique()
        if not len(numbers):
            return Lack.LABELS
        return Lack.CONTRAST if len(numbers) == 1 else None

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        """Return numbers drawn evenly from the range."""
        return rng.uniform(self.low, self.high, size=(patients, 1))

    @property
    def outputs(self) -> int:
        """The standardised number."""
        return 1

    @property
    def score_width(self) -> int:
        """One number."""
        return 1

    @property
    def neutral_bias(self) -> float:
        """The mean, standardised."""
        return 0.0

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        """Return the squared error of each labelled patient, in standard deviations."""
        center, spread = self._scale(prepared)
        return (logits[:, 0] - (labels[:, 0] - center) / spread).square() * labelled[:, 0]

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        """Return the number in the task's unit, within the plausible range."""
        from common.evaluation.predictions import NumberPrediction

        center, spread = self._scale(prepared)
        return NumberPrediction((logits[:, 0] * spread + center).double().numpy().clip(self.low, self.high))

    def _scale(self, prepared: Tensor | None) -> tuple[Tensor, Tensor]:
        if prepared is None:
            raise TypeError(f"task {self.name} needs mean and standard deviation")
        return prepared[0], prepared[1]

    @property
    def _half(self) -> float:
        return (self.high - self.low) / 2

    @property
    def moment_columns(self) -> int:
        """The number."""
        return 1

    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the numbers, which the labelled patients have."""
        return labels.double(), labelled

    @property
    def moment_form(self) -> ValueForm:
        """A ratio where no number is below 0."""
        return ValueForm.RATIO if self.low >= 0 else ValueForm.INTERVAL

    def moment_ends(self) -> tuple[Array, Array]:
        """Return the ends of the range."""
        import numpy as np

        return np.array([self.low]), np.array([self.high])

    def moment_limits(self) -> tuple[Array, Array]:
        """Return the ends of the range, beyond which no number is read."""
        return self.moment_ends()

    @property
    def prepared_size(self) -> int:
        """Mean and standard deviation."""
        return 2

    def prepared_of(self, moments: Array) -> Tensor:
        """Return mean and standard deviation, within the range."""
        import torch

        from common.evaluation.moments import mean_and_deviation

        if moments[0, 0] == 0:
            what = f"no hospital has statistics.minimum_count patients with {self.target} or more"
            raise InvalidContentError(f"task {self.name}", what, "pool hospitals with few patients")
        mean, deviation = mean_and_deviation(moments)
        scale = max(float(deviation[0]), LEAST_DEVIATION * self._half)
        center = min(max(float(mean[0]), self.low), self.high)
        return torch.tensor([center, min(scale, self._half)], dtype=torch.float32)

    def declared(self) -> Tensor:
        """Return middle and half width of `typical`, or of the middle half of the range."""
        import torch

        low, high = self.typical or (self.low + self._half / 2, self.high - self._half / 2)
        return torch.tensor([(low + high) / 2, (high - low) / 2], dtype=torch.float32)

    def is_plausible(self, prepared: Tensor, moments: Array | None, share: Array | None) -> bool:
        """Whether numbers in the range can have this mean and deviation, beside this site's own."""
        from common.evaluation.moments import mean_and_deviation

        mean, deviation = prepared.double().tolist()
        least = LEAST_DEVIATION * self._half
        if moments is not None and share is not None:
            least = max(least, float(mean_and_deviation(moments)[1][0] * share[0]))
        margin = ROUNDING * self._half
        return bool(
            self.low - margin <= mean <= self.high + margin
            and least * (1 - ROUNDING) <= deviation <= self._half + margin
        )

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        """Count pairs of different numbers, concordant where predictions order them alike."""
        import numpy as np

        from common.evaluation.pairs import floored_pairs

        rows = labelled[:, 0]
        number, rank = labels[rows, 0].double().numpy(), -logits[rows, 0].double().numpy()
        return floored_pairs(number, np.ones(len(number), dtype=np.bool_), rank, least)

    def fewest_pairs(self, least: int) -> int:
        """Return the fewest pairs that leave no side with fewer than `least` patients."""
        return max(least, least * (least - 1) // 2)

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        """Return `r2`, the share of the variance that is explained, and `mae`, in the task's unit.

        R² is below 0 for a model that is worse than the mean of the very patients that are judged.
        """
        import numpy as np

        truth, value = self._numbers(prediction, labels, labelled)
        error = float(np.mean(np.abs(value - truth))) if len(truth) else float("nan")
        return {"r2": self.headline(prediction, labels, labelled), "mae": error}

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        """Return R²; NaN where all numbers are the same."""
        import numpy as np

        truth, value = self._numbers(prediction, labels, labelled)
        variance = float(np.var(truth)) if len(truth) else 0.0
        return 1 - float(np.mean((value - truth) ** 2)) / variance if variance > 0 else float("nan")

    def _numbers(self, prediction: Prediction, labels: Array, labelled: Mask) -> tuple[Array, Array]:
        """Return numbers and predictions of the labelled patients."""
        from common.evaluation.predictions import NumberPrediction

        if not isinstance(prediction, NumberPrediction):
            raise self.mismatch(prediction)
        rows = labelled[:, 0]
        return labels[rows, 0], prediction.select(rows).value

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """No name."""
        return ()

    @property
    def outcome_unit(self) -> str:
        """Unit of the number."""
        return self.unit
