"""One patient as a function of standardised values, for one network."""

from collections.abc import Mapping

import torch
from torch import Tensor

from common.explanation.path import SMALLEST_TOLERANCE, Attribution, Gradients, Values, integrate
from common.explanation.targets import Explained
from common.models.parts import without_edges
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch


class Patient:
    """Function of a patient's standardised values, with what is observed held as it is.

    Attributes:
        batch: the patient.
    """

    def __init__(self, model: SharedModel, batch: PatientBatch) -> None:
        self.model, self.batch = model, batch
        self.parts = model.parts()

    def at(self, target: Explained, values: Values, without: str | None = None) -> Tensor:
        """Compute the target [rows] at values [rows, nodes], as if a modality had not been measured."""
        with torch.no_grad():
            number: Tensor = target.of(self.model(self._rows(values, without))[target.task]).double()
        return number

    def pull(self, target: Explained, values: Values) -> Gradients:
        """Compute gradients at values [rows, nodes], and their part through linear scores."""
        leaves = {name: part.detach().requires_grad_() for name, part in values.items()}
        rows = self._rows(leaves)
        logits = self.model(rows)[target.task]
        outer = logits.detach().requires_grad_()
        (slope,) = torch.autograd.grad(target.of(outer).sum(), outer)
        whole = _gradients(logits, leaves, slope)
        if self.parts is None:
            return whole, {name: torch.zeros_like(part) for name, part in whole.items()}
        return whole, _gradients(self.parts.linear(rows)[target.task], leaves, slope)

    def attribution(self, target: Explained) -> Attribution:
        """Attribute the target to the patient's values."""
        ends = float(self.at(target, self.mean())), float(self.at(target, self.batch.values))
        slack = SMALLEST_TOLERANCE * target.spread
        return integrate(lambda values: self.pull(target, values), self.batch.values, ends, slack)

    def without_edges(self, target: Explained) -> float | None:
        """Return the difference from the mean patient without edges; None if the model has none."""
        modules = (
            [] if self.parts is None else [e for part in self.parts.branches.values() for e in part.edges]
        )
        with without_edges(modules) as possible:
            if not possible:
                return None
            return float(self.at(target, self.batch.values)) - float(self.at(target, self.mean()))

    def mean(self) -> dict[str, Tensor]:
        """Return the values of the mean patient, [1, nodes] by modality."""
        return {name: torch.zeros_like(part) for name, part in self.batch.values.items()}

    def _rows(self, values: Values, without: str | None = None) -> PatientBatch:
        count = len(next(iter(values.values())))
        observed = {name: seen.expand(count, -1) for name, seen in self.batch.observed.items()}
        here = dict(values)
        if without is not None:
            observed[without] = torch.zeros_like(observed[without])
            here[without] = torch.zeros_like(here[without])
        return PatientBatch(here, observed, {}, {})


def _gradients(outputs: Tensor, leaves: Mapping[str, Tensor], slope: Tensor) -> dict[str, Tensor]:
    slopes = torch.autograd.grad(outputs, list(leaves.values()), slope.expand_as(outputs), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if gradient is None else gradient
        for (name, leaf), gradient in zip(leaves.items(), slopes, strict=True)
    }
