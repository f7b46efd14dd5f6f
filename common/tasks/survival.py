"""Time to an event with right censoring."""

from __future__ import annotations

import math
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


LEAST_NOISED_DEVIATION = 0.1
"""Least standard deviation that a hospital reports of a noised sum, in half ranges."""


ROUNDING = 1e-3
"""Share by which rounding to float32 may move an end or a moment."""


class SurvivalTask(Task):
    """Time to an event with right censoring, modelled as a hazard in `bins` intervals.

    The intervals are quantiles of a log-normal distribution fitted to the first two moments of log(1 + time) over
    events. Moments rather than a histogram, because a histogram of a small hospital's event times is mostly cells with
    one or two patients in them.
    """

    form: ClassVar = OutcomeForm.TIME_TO_EVENT
    metrics: ClassVar = {
        "c_index": Metric("C-index"),
        "integrated_brier": Metric("Integrated Brier score", lower_is_better=True),
    }

    kind: Literal["survival"] = Field(
        default="survival",
        description="Time to an event, or to the end of follow-up.",
        json_schema_extra=about(
            example="survival", change="Write `survival` for a time that can be censored."
        ),
    )
    time: str = Field(
        description="Column of the time from the start to the event or the end of follow-up.",
        json_schema_extra=about(example="months", change="Name the column as hospitals shall have it."),
    )
    event: str = Field(
        description="Column that is 1 where the event happened and 0 where follow-up ended before.",
        json_schema_extra=about(example="died", change="Name the column as hospitals shall have it."),
    )
    unit: Literal["days", "months", "years"] = Field(
        description="Unit of the time.",
        json_schema_extra=about(
            example="months", change="Choose one, in which all hospitals give their times."
        ),
    )
    longest: float = Field(
        gt=0,
        le=100_000,
        description="Longest plausible follow-up, in `unit`: a table with a longer one is refused.",
        json_schema_extra=about(
            example=120, change="Choose it so short that days given for months lie beyond it."
        ),
    )
    bins: int = Field(
        default=12,
        ge=2,
        le=60,
        description="Intervals in which the hazard is modelled, quantiles of the event times.",
        json_schema_extra=about(example=8, change="Lower it below some hundred events.", unit="intervals"),
    )
    typical: tuple[float, float] | None = Field(
        default=None,
        description="Range in which about two thirds of the events lie, in `unit`, from public knowledge.",
        json_schema_extra=about(
            example=[6, 48],
            change="Give it: wrong units are told by it, and declared statistics take hazard intervals from it.",
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Typical times that are none."""
        if self.typical is not None and not 0 < self.typical[0] < self.typical[1] <= self.longest:
            what = "typical must be a time and a later one, no later than longest"
            yield Problem(
                ("typical",), what, f"write two times between 0 and {self.longest:g}, the earlier first"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Time and event."""
        return (self.time, self.event)

    @property
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        """No column of names."""
        return {}

    @property
    def binary_columns(self) -> tuple[str, ...]:
        """The event."""
        return (self.event,)

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        """Name implausible times and events; a patient with only one of the two becomes unknown."""
        import numpy as np

        from common.tasks.labels import BINARY, LabelProblem, binary_problems, marked, unit_warnings

        time, event = labels.T
        in_unit = f"give times in {self.unit}, or declare their unit under [intake] in site.toml"
        above = f"has times above the plausible {self.longest:g} {self.unit}"
        faults = (
            (time < 0, LabelProblem(self.time, "has negative times", "correct or drop them")),
            (time > self.longest, LabelProblem(self.time, above, in_unit)),
            (
                np.isnan(time) & (event == 1),
                LabelProblem(self.time, "is empty for patients with an event", "complete it"),
            ),
            (
                np.isnan(event) & ~np.isnan(time),
                LabelProblem(self.event, "is empty for patients with a time", BINARY),
            ),
        )
        problems = [problem._replace(patients=marked(wrong)) for wrong, problem in faults if wrong.any()]
        problems += unit_warnings(self.time, time[event == 1], self.unit, self.typical, self.longest, time)
        whole = np.where(np.isnan(labels).any(axis=1, keepdims=True), np.nan, labels)
        return whole, problems + binary_problems(self.event, whole[:, 1])

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        """Return the events."""
        return {"events": int(labels[:, 1].sum())}

    def happened(self, labels: Tensor) -> Tensor:
        """Return whether a patient had the event, [P] bool."""
        return labels[:, 1].bool()

    def lack(self, labels: Tensor, labelled: Tensor) -> Lack | None:
        """Return whether labels or events are missing: without events there are no hazards."""
        rows = labelled.all(1)
        if not bool(rows.any()):
            return Lack.LABELS
        return None if bool(self.happened(labels[rows]).any()) else Lack.EVENTS

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        """Return made-up times, and events of half the patients.

        Times go up to the last hazard interval, or to the longest follow-up.
        """
        import numpy as np

        latest = self.longest if prepared is None else float(prepared[-1])
        time = rng.random(patients) * latest
        return np.stack([time, rng.integers(2, size=patients)], axis=1).astype(np.float64)

    @property
    def outputs(self) -> int:
        """Hazard logit of each interval."""
        return self.bins

    @property
    def score_width(self) -> int:
        """One risk for all intervals: proportional odds."""
        return 1

    @property
    def neutral_bias(self) -> float:
        """Logit of a hazard of 1 / 2K in each of K intervals.

        At a half, every patient's gradient would be about how rare events are, and clipping would leave little room
        for who has them.
        """
        hazard = 1 / (2 * self.bins)
        return math.log(hazard / (1 - hazard))

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        """Return the hazard loss of each patient whose time and event are known."""
        from common.tasks.hazard import hazard_loss

        return hazard_loss(logits, self._cuts(prepared), labels[:, 0], labels[:, 1]) * labelled.all(1)

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        """Return survival at the ends of the intervals, and as risk minus its mean over them.

        That mean is the expected share of intervals lived through.
        """
        from common.evaluation.predictions import SurvivalPrediction
        from common.tasks.hazard import survival_curve

        survival = survival_curve(logits).double().numpy()
        return SurvivalPrediction(-survival.mean(1), self._cuts(prepared).double().numpy(), survival)

    def _cuts(self, prepared: Tensor | None) -> Tensor:
        if prepared is None:
            raise TypeError(f"task {self.name} needs its hazard intervals")
        return prepared

    @property
    def moment_columns(self) -> int:
        """The logarithm of 1 + time."""
        return 1

    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return log(1 + time), which the patients with an event have."""
        time, event = labels.double().unbind(1)
        return time.contiguous().log1p()[:, None], ((event > 0) & labelled.all(1))[:, None]

    @property
    def moment_form(self) -> ValueForm:
        """Logarithms of 1 + time."""
        return ValueForm.LOGARITHM

    @property
    def moments_are(self) -> str:
        """Times of events."""
        return "times of events"

    has_rest: ClassVar = True

    def rest_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return log(1 + time), which the censored patients have here: their follow-up."""
        values, _ = self.moment_values(labels, labelled)
        return values, (~(labels[:, 1] > 0) & labelled.all(1))[:, None]

    def moment_ends(self) -> tuple[Array, Array]:
        """Return ends of log(1 + time), within three typical deviations of the typical mean."""
        import numpy as np

        low, high = 0.0, math.log1p(self.longest)
        if self.typical is not None:
            typical = np.log1p(self.typical)
            center, spread = typical.mean(), np.ptp(typical) / 2
            low, high = max(low, center - 3 * spread), min(high, center + 3 * spread)
        return np.array([low]), np.array([high])

    def moment_limits(self) -> tuple[Array, Array]:
        """Return the logarithms of 1 + time of the shortest and the longest follow-up."""
        import numpy as np

        return np.zeros(1), np.array([math.log1p(self.longest)])

    @property
    def prepared_size(self) -> int:
        """End of each hazard interval."""
        return self.bins

    def prepared_of(self, moments: Array) -> Tensor:
        """Return the ends of the hazard intervals from the moments of log(1 + time) over events."""
        from common.evaluation.moments import mean_and_deviation
        from common.tasks.hazard import hazard_cuts

        if moments[0, 0] == 0:
            what = "no hospital has statistics.minimum_count events or more, and perhaps nobody has one"
            remedy = f"check that {self.event} is 1 for an event and 0 for none, then pool hospitals with few events"
            raise InvalidContentError(f"task {self.name}", what, remedy)
        mean, deviation = mean_and_deviation(moments)
        return hazard_cuts(float(mean[0]), float(deviation[0]), self.bins, self.longest)

    def is_plausible(self, prepared: Tensor, moments: Array | None, share: Array | None) -> bool:
        """Whether the ends are those of a normal distribution that log(1 + time) can have."""
        import numpy as np

        from common.evaluation.moments import mean_and_deviation
        from common.tasks.hazard import fitted_moments, hazard_cuts

        ends = prepared.double().numpy()
        if not (np.isfinite(ends).all() and ends[0] > 0 and (np.diff(ends) > 0).all()):
            return False
        if ends[-1] > self.longest * (1 + ROUNDING):
            return False
        fitted = fitted_moments(prepared, self.longest)
        if fitted is None:  # beyond either end they tell nobody from another
            return True
        mean, deviation = fitted
        honest = hazard_cuts(mean, deviation, self.bins, self.longest).double().numpy()
        low, high, least = 0.0, math.log1p(self.longest), 0.0
        if moments is None:
            (low,), (high,) = self.moment_ends()
            least = LEAST_NOISED_DEVIATION * (high - low) / 2
        elif share is not None:
            least = float(mean_and_deviation(moments)[1][0] * share[0])
        margin = ROUNDING * (high - low)
        return bool(
            np.allclose(ends, honest, rtol=ROUNDING)
            and low - margin <= mean <= high + margin
            and deviation >= least * (1 - ROUNDING)
        )

    def declared(self) -> Tensor:
        """Return the hazard intervals of event times of which two thirds lie in `typical`.

        A task without one gets the range of `typical_times`.
        """
        import numpy as np

        from common.tasks.hazard import hazard_cuts
        from common.tasks.labels import typical_times

        low, high = np.log1p(self.typical or typical_times(self.longest))
        return hazard_cuts((low + high) / 2, (high - low) / 2, self.bins, self.longest)

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        """Count Harrell's pairs, with `least` patients on either side."""
        from common.evaluation.pairs import floored_pairs
        from common.tasks.hazard import survival_curve

        labelled_rows = labelled.all(1)
        risk = -survival_curve(logits[labelled_rows]).sum(1).double().numpy()
        time, event = labels[labelled_rows].double().unbind(1)
        return floored_pairs(time.numpy(), event.numpy() > 0, risk, least)

    def fewest_pairs(self, least: int) -> int:
        """Return the fewest pairs that leave no side with fewer than `least` patients."""
        return max(least, least * (least - 1) // 2)

    def most_pairs(self, patients: int) -> int:
        """Return all pairs: one risk orders them, whatever the number of intervals."""
        return patients * (patients - 1) // 2

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        """Return `c_index` and `integrated_brier`."""
        import numpy as np

        from common.evaluation.predictions import SurvivalPrediction
        from common.evaluation.survival import c_index, integrated_brier, survival_labels

        if not isinstance(prediction, SurvivalPrediction):
            raise self.mismatch(prediction)
        time, event = survival_labels(labels, labelled)
        train_time, train_event = survival_labels(train_labels, train_labelled)
        here = prediction.select(np.flatnonzero(labelled.all(axis=1)))
        return {
            "c_index": c_index(time, event, here.risk),
            "integrated_brier": integrated_brier(train_time, train_event, time, event, here),
        }

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        """Return the concordance index."""
        from common.evaluation.predictions import SurvivalPrediction
        from common.evaluation.survival import c_index, survival_labels

        if not isinstance(prediction, SurvivalPrediction):
            raise self.mismatch(prediction)
        return c_index(*survival_labels(labels, labelled), prediction.risk[labelled.all(axis=1)])

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """No name."""
        return ()

    @property
    def outcome_unit(self) -> str:
        """Unit of time."""
        return self.unit
