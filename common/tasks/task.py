"""Base class of a task: everything that a kind of task must offer.

A kind is a subclass that fills in every abstract method, `form` and `metrics`, and is registered
(`common.tasks.registry.register`). Nothing outside the kinds tells kinds apart. What needs numpy or torch is
imported inside the methods, because the federation file is read by commands that need neither.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from common.agreed import Agreed, Name, about
from common.comparison.form import ValueForm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from common.evaluation.pairs import Pairs
    from common.evaluation.predictions import Prediction
    from common.tasks.labels import LabelProblem

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]


class OutcomeForm(StrEnum):
    """Form of a task's labels and predictions.

    The report chooses curves by it, and the baselines classical models.
    """

    TIME_TO_EVENT = "time to event"
    """Labels are time and event, predictions a `SurvivalPrediction`."""
    CLASSES = "classes"
    """The label is the index of a class of `outcome_names`, predictions a `ClassPrediction`."""
    LABELS = "labels"
    """Labels are 0 or 1 for each of `outcome_names`, predictions a `LabelPrediction`."""
    NUMBER = "number"
    """The label is a number, predictions a `NumberPrediction`; the report has no curves of it."""
    OTHER = "other"
    """Any other form; the report has no curves of it, and of the classical models only the perceptron."""


@dataclass(frozen=True)
class Metric:
    """Figure by which predictions are judged, as titled in tables."""

    title: str
    lower_is_better: bool = False


class Lack(StrEnum):
    """Thing that patients' labels lack for a task to be learned from them."""

    LABELS = "labels"
    """Nobody has a label."""
    EVENTS = "events"
    """Nobody has an event, and all times are censored."""
    CONTRAST = "contrast"
    """Everybody has the same outcome."""


class Task(Agreed):
    """Task of the federation file, with the behaviour of its kind.

    `prepared` is what the kind computes from the federation's moments (`prepared_of`), such as hazard intervals; None
    for a kind that needs none. Labels and masks are [P, columns] as in `PatientBatch`.
    """

    form: ClassVar[OutcomeForm]
    metrics: ClassVar[Mapping[str, Metric]]
    """By name, in the order of tables; the first is the headline, of which more is better."""

    kind: str = Field(
        description="Kind of the outcome.",
        json_schema_extra=about(example="survival", change="Choose by the form of the outcome."),
    )
    name: Name = Field(
        description="Name of the task, in lower case; a hospital's policy permits tasks by it.",
        json_schema_extra=about(example="survival", change="Choose a short one."),
    )

    @property
    def headline_metric(self) -> str:
        """Name of the metric that models are compared by."""
        return next(iter(self.metrics))

    # Labels

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Label columns of the outcomes table, in batch order."""

    @property
    @abstractmethod
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        """Return the classes of every label column with names.

        A label is a name's index; other columns hold numbers.
        """

    @property
    def binary_columns(self) -> tuple[str, ...]:
        """Columns of which a cell says yes or no, as 1 or 0; none unless a kind says otherwise."""
        return ()

    @abstractmethod
    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        """Return labels as they are used and every fault, from labels as read (NaN where unknown)."""

    @abstractmethod
    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        """Return the passport's counts beside labelled patients, such as events or class sizes."""

    @abstractmethod
    def happened(self, labels: Tensor) -> Tensor:
        """Return whether a patient had the outcome at all, [P] bool."""

    def lack(self, labels: Tensor, labelled: Tensor) -> Lack | None:
        """Return what is missing in labels of training patients; None if the task can be learned.

        A kind that needs more than a label says so.
        """
        return None if bool(labelled.any()) else Lack.LABELS

    @abstractmethod
    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        """Return plausible labels of made-up patients, up to the end of what was `prepared`."""

    # Network

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Logits of the task's head."""

    @property
    @abstractmethod
    def score_width(self) -> int:
        """Numbers of a modality's additive score: 1, which is added to all logits, or `outputs`."""

    @property
    @abstractmethod
    def neutral_bias(self) -> float:
        """Bias of a head that says the same of everyone, as private training starts."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        """Return the loss per patient [B], 0 or more and of no other patient; 0 where not labelled."""

    @abstractmethod
    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        """Return predictions in the field's terms from logits [P, outputs]."""

    # Federated moments

    @property
    @abstractmethod
    def moment_columns(self) -> int:
        """Quantities of which the federation shares count, sum and sum of squares; 0 for none."""

    @abstractmethod
    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantities [P, moment_columns] float64 and whether a patient has them, bool."""

    @property
    def moment_sources(self) -> tuple[str, ...]:
        """Column that each quantity is of: the first columns, unless a kind says otherwise."""
        return self.columns[: self.moment_columns]

    @property
    def moment_form(self) -> ValueForm:
        """Form of the quantities, which says how another unit moves them."""
        return ValueForm.INTERVAL

    @property
    def moments_are(self) -> str:
        """Words for the quantities where their column alone does not say what they are."""
        return ""

    has_rest: ClassVar[bool] = False
    """Whether hospitals share the quantities of the other patients too, to be compared with one another."""

    def rest_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return the quantities [P, moment_columns] and which other patients have them, bool.

        Nobody is both here and in `moment_values`.
        """
        raise NotImplementedError(f"task {self.name} has no other patients")

    @abstractmethod
    def moment_ends(self) -> tuple[Array, Array]:
        """Return low and high ends [moment_columns], by which noised sums limit what a patient adds."""

    def moment_limits(self) -> tuple[Array, Array]:
        """Return the lowest and highest value [moment_columns] that a quantity can have."""
        import numpy as np

        infinite = np.full(self.moment_columns, np.inf)
        return -infinite, infinite

    @property
    @abstractmethod
    def prepared_size(self) -> int:
        """Numbers in `prepared`; 0 if the kind needs nothing prepared."""

    @abstractmethod
    def prepared_of(self, moments: Array) -> Tensor:
        """Return constants of the loss [prepared_size] float32 from moments [3, M].

        The moments are counts, sums and sums of squares.

        Raises:
            InputError: if the moments are of too few patients.
        """

    @abstractmethod
    def declared(self) -> Tensor:
        """Return what the loss needs, [prepared_size] float32, from the federation file alone."""

    def is_plausible(self, prepared: Tensor, moments: Array | None, share: Array | None) -> bool:
        """Whether honest moments give these constants of the loss, as one site sees it.

        Args:
            prepared: [prepared_size] float32.
            moments: of this site [3, M]; None where they are not exact.
            share: least ratio [M] of the federation's standard deviation to the site's.
        """
        return bool(prepared.isfinite().all())

    # Validation within a hospital

    @abstractmethod
    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        """Count comparable and concordant pairs; 0 with fewer than `least` patients on a side."""

    @abstractmethod
    def fewest_pairs(self, least: int) -> int:
        """Return the fewest comparable pairs that `least` patients on each side make."""

    def most_pairs(self, patients: int) -> int:
        """Return the most comparable pairs that so many patients make, for every output anew.

        One patient more must be in no more pairs than it grows by: that is the unit of the noise on pairs.
        """
        return max(self.outputs, 1) * patients * (patients - 1) // 2

    # Metrics, in simulations alone

    @abstractmethod
    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        """Return every metric of `metrics` over the labelled patients.

        `train_labels` are of the patients trained on, for their censoring alone.

        Raises:
            TypeError: if the prediction is not of the task's kind.
        """

    @abstractmethod
    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        """Return the headline metric alone, cheap enough to bootstrap."""

    # Words

    @property
    @abstractmethod
    def outcome_names(self) -> tuple[str, ...]:
        """Names of classes or labels; empty where there are none."""

    @property
    @abstractmethod
    def outcome_unit(self) -> str:
        """Unit of the outcome; empty where there is none."""

    def mismatch(self, prediction: Prediction) -> PredictionMismatch:
        """Return the error about a prediction of another kind."""
        return PredictionMismatch(self.name, self.kind, type(prediction).__name__)


class PredictionMismatch(TypeError):
    """Prediction of another kind than its task.

    Attributes:
        task: name of the task.
        kind: kind of the task.
        prediction: name of the prediction's class.
    """

    def __init__(self, task: str, kind: str, prediction: str) -> None:
        super().__init__(f"task {task} is a {kind} task, the prediction a {prediction}")
        self.task, self.kind, self.prediction = task, kind, prediction


class UnpreparedTask(Task):
    """Task whose loss needs nothing of the federation's moments."""

    @property
    def moment_columns(self) -> int:
        """No quantity."""
        return 0

    def moment_values(self, labels: Tensor, labelled: Tensor) -> tuple[Tensor, Tensor]:
        """Return no quantity."""
        return labels[:, :0].double(), labelled[:, :0]

    def moment_ends(self) -> tuple[Array, Array]:
        """Return no ends."""
        import numpy as np

        return np.zeros(0), np.zeros(0)

    @property
    def prepared_size(self) -> int:
        """No number."""
        return 0

    def prepared_of(self, moments: Array) -> Tensor:
        """Return an empty tensor."""
        return self.declared()

    def declared(self) -> Tensor:
        """Return an empty tensor."""
        import torch

        return torch.zeros(0)
