"""Explanations of a prediction by values, pathways, modalities and edges.

Attention is no part of it: weights of attention say where a network looks, and not what its answer follows from.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.explanation.explanation import LEAST_BY_EDGES, Explanation
from common.explanation.path import SMALLEST_TOLERANCE, Attribution, Gradients, Values, integrate
from common.explanation.reasons import pathway_reasons, value_reasons
from common.explanation.targets import Explained, targets
from common.models.graphs import Prior
from common.models.parts import without_edges
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network


def explain(
    network: Network, patient: PatientBatch, horizons: Mapping[str, Sequence[float]]
) -> tuple[Explanation, ...]:
    """Explain the prediction of a patient.

    Args:
        network: the model.
        patient: one, with raw values.
        horizons: survival task -> times by which the risk is explained; other tasks have none.

    Returns:
        An explanation for every horizon, and for the likeliest class, the likeliest label and the number of the others.

    Raises:
        InvalidContentError: for a task that predicts something else.
    """
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    of = Patient(network.model, prepared.apply(patient))
    with torch.no_grad():
        logits = network.model(of.batch)
    return tuple(
        _explanation(network, patient, of, target)
        for target in targets(federation, prepared, horizons, logits)
    )


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

    def by_edges(self, target: Explained, difference: float) -> float | None:
        """Return the share of a difference from the mean that is missing without edges."""
        modules = (
            [] if self.parts is None else [e for part in self.parts.branches.values() for e in part.edges]
        )
        if abs(difference) <= SMALLEST_TOLERANCE * target.spread:
            return None
        with without_edges(modules) as possible:
            if not possible:
                return None
            bare = float(self.at(target, self.batch.values)) - float(self.at(target, self.mean()))
        share = abs(difference - bare) / abs(difference)
        return share if share >= LEAST_BY_EDGES else None

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


def _explanation(network: Network, raw: PatientBatch, of: Patient, target: Explained) -> Explanation:
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    attribution = of.attribution(target)
    mean, end = attribution.start, attribution.end
    higher, lower, rest = value_reasons(federation, prepared, raw, attribution)
    membership = network.public.membership if isinstance(network.public, Prior) else {}
    pathways_higher, pathways_lower = pathway_reasons(
        membership,
        of.batch,
        attribution,
        lambda values: end - of.at(target, values),
    )
    seen = [name for name in of.batch.values if bool(of.batch.present(name))]
    absent = {name: float(of.at(target, of.batch.values, name)) - end for name in seen if len(seen) > 1}
    return Explanation(
        task=target.task,
        outcome=target.outcome,
        horizon=target.horizon,
        unit=target.unit,
        scale=target.scale,
        patient=end,
        mean=mean,
        steps=attribution.steps,
        gap=attribution.gap,
        converged=attribution.converged,
        linear=None if of.parts is None else _total(attribution.linear),
        modalities={name: float(attribution.values[name].sum()) for name in seen},
        absent=absent,
        edges=of.by_edges(target, end - mean),
        higher=higher,
        lower=lower,
        rest=rest,
        pathways_higher=pathways_higher,
        pathways_lower=pathways_lower,
    )


def _total(parts: Mapping[str, Tensor]) -> float:
    return float(sum(part.sum() for part in parts.values()))
