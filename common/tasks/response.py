"""One of several classes, for instance response to treatment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from common.agreed import Problem, about, repeated
from common.tasks.task import Lack, Metric, OutcomeForm, UnpreparedTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from torch import Tensor

    from common.evaluation.pairs import Pairs
    from common.evaluation.predictions import ClassPrediction, Prediction
    from common.tasks.labels import LabelProblem
    from common.tasks.task import Array, Mask


class ResponseTask(UnpreparedTask):
    """One of several classes, for instance response to treatment."""

    form: ClassVar = OutcomeForm.CLASSES
    metrics: ClassVar = {
        "auroc": Metric("AUROC"),
        "auprc": Metric("AUPRC"),
        "accuracy": Metric("Accuracy"),
        "precision": Metric("Precision"),
        "recall": Metric("Recall"),
        "f1": Metric("F1"),
    }

    kind: Literal["response"] = Field(
        default="response",
        description="One of several classes, for instance response to treatment.",
        json_schema_extra=about(
            example="response", change="Write `response` for one of two or more classes."
        ),
    )
    label: str = Field(
        description="Column of the class.",
        json_schema_extra=about(example="response", change="Name the column as hospitals shall have it."),
    )
    classes: tuple[str, ...] = Field(
        min_length=2,
        description="Classes, as the column has them; of two, the second is the response.",
        json_schema_extra=about(
            example=["no", "yes"], change="Name every class: a table with another one is refused."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Classes that occur twice."""
        for name in repeated(self.classes):
            yield Problem(("classes",), f"classes has a name twice, {name}", "name it once")

    @property
    def columns(self) -> tuple[str, ...]:
        """Index of the class."""
        return (self.label,)

    @property
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        """Classes of the label."""
        return {self.label: self.classes}

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        """Return the labels, in which the reader has found every class."""
        return labels, []

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        """Return the patients of each class."""
        tally = Counter(labels[labelled[:, 0], 0].long().tolist())
        return {name: tally[index] for index, name in enumerate(self.classes)}

    def happened(self, labels: Tensor) -> Tensor:
        """Return whether a patient is in another class than the first, [P] bool."""
        return (labels > 0).any(1)

    def lack(self, labels: Tensor, labelled: Tensor) -> Lack | None:
        """Return whether labels, or a second class among them, are missing."""
        classes = labels[labelled[:, 0], 0].unique()
        if not len(classes):
            return Lack.LABELS
        return Lack.CONTRAST if len(classes) == 1 else None

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        """Return classes drawn alike."""
        import numpy as np

        return rng.integers(len(self.classes), size=(patients, 1)).astype(np.float64)

    @property
    def outputs(self) -> int:
        """Logit of each class."""
        return len(self.classes)

    @property
    def score_width(self) -> int:
        """Score of each class."""
        return self.outputs

    @property
    def neutral_bias(self) -> float:
        """Logit at which all classes are alike."""
        return 0.0

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        """Return the cross-entropy of each labelled patient."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits, labels[:, 0].long(), reduction="none") * labelled.all(1)

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        """Return the probability of each class."""
        from common.evaluation.predictions import ClassPrediction

        return ClassPrediction(logits.softmax(1).double().numpy())

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        """Count Mann-Whitney's pairs, with `least` patients in every class that anybody is in."""
        from common.evaluation.pairs import Pairs, mann_whitney

        labelled_rows = labelled[:, 0]
        if any(0 < count < least for count in labels[labelled_rows, 0].long().bincount().tolist()):
            return Pairs.none()
        score = logits[labelled_rows].softmax(1)
        return Pairs.total(
            [
                mann_whitney((labels[labelled_rows, 0] == index).numpy(), score[:, index].numpy())
                for index in self._judged
            ]
        )

    def fewest_pairs(self, least: int) -> int:
        """Return the pairs of `least` patients of a class with `least` others."""
        return least**2

    def most_pairs(self, patients: int) -> int:
        """Return all pairs, each twice with more than two classes: once for each of its classes."""
        return min(len(self._judged), 2) * patients * (patients - 1) // 2

    @property
    def _judged(self) -> range:
        """Classes that are told from the rest: the second of two, each of more."""
        return range(1, 2) if len(self.classes) == 2 else range(len(self.classes))

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        """Return `auroc`, `auprc`, `accuracy`, `precision`, `recall` and `f1`.

        They are of class 1 if there are two classes, otherwise means over classes against the rest; over those that
        some have and some have not.
        """
        import numpy as np

        from common.evaluation.classification import class_scores

        probability = self._known(prediction, labelled)
        return class_scores(labels[labelled[:, 0], 0].astype(np.intp), probability.probability)

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        """Return the area under the ROC curve."""
        from common.evaluation.classification import mean_auroc

        probability = self._known(prediction, labelled).probability
        actual = labels[labelled[:, 0], 0]
        return mean_auroc((actual == index, probability[:, index]) for index in self._judged)

    def _known(self, prediction: Prediction, labelled: Mask) -> ClassPrediction:
        from common.evaluation.predictions import ClassPrediction

        if not isinstance(prediction, ClassPrediction):
            raise self.mismatch(prediction)
        return prediction.select(labelled[:, 0])

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.classes

    @property
    def outcome_unit(self) -> str:
        """No unit."""
        return ""
