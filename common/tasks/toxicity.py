"""Several adverse events, each yes, no or unknown."""

from __future__ import annotations

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
    from common.evaluation.predictions import LabelPrediction, Prediction
    from common.tasks.labels import LabelProblem
    from common.tasks.task import Array, Mask


class ToxicityTask(UnpreparedTask):
    """Several adverse events, each yes, no or unknown."""

    form: ClassVar = OutcomeForm.LABELS
    metrics: ClassVar = {"auroc": Metric("AUROC"), "auprc": Metric("AUPRC")}

    kind: Literal["toxicity"] = Field(
        default="toxicity",
        description="Several adverse events, each yes, no or unknown.",
        json_schema_extra=about(example="toxicity", change="Write `toxicity` for any of several events."),
    )
    labels: tuple[str, ...] = Field(
        min_length=1,
        description="Columns of the adverse events, 1 where it happened and 0 where it did not.",
        json_schema_extra=about(
            example=["rash", "colitis"], change="Name the columns as hospitals shall have them."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Adverse events that occur twice."""
        for name in repeated(self.labels):
            yield Problem(("labels",), f"labels has a name twice, {name}", "name it once")

    @property
    def columns(self) -> tuple[str, ...]:
        """The adverse events."""
        return self.labels

    @property
    def classes_of(self) -> Mapping[str, tuple[str, ...]]:
        """No column of names."""
        return {}

    @property
    def binary_columns(self) -> tuple[str, ...]:
        """All of them."""
        return self.labels

    def check_labels(self, labels: Array) -> tuple[Array, list[LabelProblem]]:
        """Name the adverse events with cells other than 0 and 1."""
        from common.tasks.labels import binary_problems

        columns = zip(self.labels, labels.T, strict=True)
        return labels, [problem for name, cells in columns for problem in binary_problems(name, cells)]

    def counts(self, labels: Tensor, labelled: Tensor) -> dict[str, int]:
        """Return the patients with each adverse event."""
        return {name: int(labels[:, index].sum()) for index, name in enumerate(self.labels)}

    def happened(self, labels: Tensor) -> Tensor:
        """Return whether a patient had any adverse event, [P] bool."""
        return (labels > 0).any(1)

    def lack(self, labels: Tensor, labelled: Tensor) -> Lack | None:
        """Return whether labels, or an adverse event that some have and some have not, are missing."""
        if not bool(labelled.any()):
            return Lack.LABELS
        positive, negative = (labels > 0) & labelled, (labels <= 0) & labelled
        return None if bool((positive.any(0) & negative.any(0)).any()) else Lack.CONTRAST

    def made_up_labels(self, patients: int, rng: np.random.Generator, prepared: Tensor | None) -> Array:
        """Return each adverse event for half the patients."""
        import numpy as np

        return rng.integers(2, size=(patients, len(self.labels))).astype(np.float64)

    @property
    def outputs(self) -> int:
        """Logit of each adverse event."""
        return len(self.labels)

    @property
    def score_width(self) -> int:
        """Score of each adverse event."""
        return self.outputs

    @property
    def neutral_bias(self) -> float:
        """Logit of one half."""
        return 0.0

    def loss(self, logits: Tensor, labels: Tensor, labelled: Tensor, prepared: Tensor | None) -> Tensor:
        """Return binary cross-entropy per patient, averaged over the labelled adverse events."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        cells = binary_cross_entropy_with_logits(logits, labels, reduction="none") * labelled
        return cells.sum(1) / labelled.sum(1).clamp(min=1)

    def predict(self, logits: Tensor, prepared: Tensor | None) -> Prediction:
        """Return the probability of each adverse event."""
        import numpy as np

        from common.evaluation.predictions import LabelPrediction

        return LabelPrediction(np.asarray(logits.sigmoid().double()))

    def pairs(self, logits: Tensor, labels: Tensor, labelled: Tensor, least: int) -> Pairs:
        """Count Mann-Whitney pairs of adverse events with `least` patients on both sides."""
        from common.evaluation.pairs import Pairs, mann_whitney

        counted = []
        for index in range(len(self.labels)):
            labelled_rows = labelled[:, index]
            positive = labels[labelled_rows, index].numpy() > 0
            if min(positive.sum(), len(positive) - positive.sum()) >= least:
                counted.append(mann_whitney(positive, logits[labelled_rows, index].numpy()))
        return Pairs.total(counted)

    def fewest_pairs(self, least: int) -> int:
        """Return the pairs of `least` patients with an event and `least` without."""
        return least**2

    def scores(
        self, prediction: Prediction, labels: Array, labelled: Mask, train_labels: Array, train_labelled: Mask
    ) -> dict[str, float]:
        """Return `auroc` and `auprc`, averaged over adverse events with both outcomes."""
        from common.evaluation.classification import ranking_scores

        probability = self._fitting(prediction).probability
        return ranking_scores(
            (labels[rows, index] > 0, probability[rows, index]) for index, rows in enumerate(labelled.T)
        )

    def headline(self, prediction: Prediction, labels: Array, labelled: Mask) -> float:
        """Return the mean area under the ROC curve."""
        from common.evaluation.classification import mean_auroc

        probability = self._fitting(prediction).probability
        return mean_auroc(
            (labels[rows, index] > 0, probability[rows, index]) for index, rows in enumerate(labelled.T)
        )

    def _fitting(self, prediction: Prediction) -> LabelPrediction:
        from common.evaluation.predictions import LabelPrediction

        if not isinstance(prediction, LabelPrediction):
            raise self.mismatch(prediction)
        return prediction

    @property
    def outcome_names(self) -> tuple[str, ...]:
        """The adverse events."""
        return self.labels

    @property
    def outcome_unit(self) -> str:
        """No unit."""
        return ""
