"""Parts of a model that can be watched, and the measurement of their activity.

A branch is a path from a modality's nodes through its graph to the token. Its units are the numbers that leave the
graph; a unit that is the same for all patients carries nothing, whatever its value.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from common.models.activity import Activity, BranchActivity
from common.records import Records

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

R = TypeVar("R", bound=Records)

SMALLEST_SPREAD = 0.01
"""Standard deviation over patients above which a unit is active, relative to the root mean square of the units.

The map that reads the units weighs all of them alike at first, so a unit far below the others is not heard.
"""

UNITS_AT_ONCE = 100
"""Patients that are computed together."""

Outputs = Mapping[str, Tensor]
"""Name -> outputs [U, ...] of a model."""


class AlongEdges(nn.Module, ABC):
    """Module along the edges of a graph, which can be had without them."""

    @abstractmethod
    def edgeless(self) -> nn.Module | None:
        """Return the module with the same weights and every node's self-loop alone.

        None if its weights depend on the edges. No random number is drawn.
        """


@dataclass(frozen=True)
class BranchPart:
    """Branch of a modality.

    Attributes:
        squeeze: module whose outputs [U, ...], for the patients with the modality, are the branch's units.
        weights: trained parameters of the branch.
        edges: modules along the edges of its graph; none where there are no edges.
    """

    squeeze: nn.Module
    weights: Sequence[nn.Parameter]
    edges: Sequence[AlongEdges] = ()


@dataclass(frozen=True)
class Parts:
    """Parts of a model.

    Attributes:
        branches: modality -> branch.
        linear: outputs without the network, from linear scores alone.
        widths: task -> numbers of a patient's risk: outputs are averaged in so many groups.
        weights: part -> trained parameters, for parts that are no branch.
        heads: maps from the network to the outputs, which may start at 0.
    """

    branches: Mapping[str, BranchPart]
    linear: Callable[[Any], Outputs]
    widths: Mapping[str, int]
    weights: Mapping[str, Sequence[nn.Parameter]]
    heads: Sequence[nn.Linear]


def measure_activity(model: nn.Module, parts: Parts, records: R, loss: Callable[[R], Tensor]) -> Activity:
    """Measure the activity of a model's parts at its present weights, without masks.

    The share of a path is Var(c) / (Var(c) + Var(r)), where r is the risk with the path switched off (its units
    replaced by their mean over patients), c the rest of the risk, and Var the variance over patients: between 0 and
    1, and where r and c are uncorrelated the share of the variance. The share of edges is the same, with r the risk
    of the same weights without the edges.

    Gradients are those of the mean loss. Where all heads are 0 no loss depends on the network: they are drawn at
    random for the gradients, which then say whether the parts can learn.

    Args:
        model: whose outputs by name are `model(records)`; afterwards it is as it was.
        parts: its parts.
        records: standardised, with labels, on the model's device.
        loss: training loss per unit of privacy [U] at the model's weights.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            branches, network = _shares(model, parts, records)
        gradients = _gradients(parts, records, loss)
    finally:
        model.train(was_training)
    return Activity(
        branches={
            name: branch.model_copy(update={"gradient": gradients[name, True]})
            for name, branch in branches.items()
        },
        network=network,
        gradients={name: gradients[name, False] for name in parts.weights},
    )


def _shares(
    model: nn.Module, parts: Parts, records: Records
) -> tuple[dict[str, BranchActivity], dict[str, float | None]]:
    """Measure active units, and shares of the risk's variance."""
    units: dict[str, list[Tensor]] = {name: [] for name in parts.branches}
    with _hooked(parts.branches[name].squeeze.register_forward_hook(_keep(units[name])) for name in units):
        risk = _risk(model, parts, records)
    branches = {}
    for name, branch in parts.branches.items():
        outputs = torch.cat(units[name]) if units[name] else torch.empty(0)
        if len(outputs) < 2:
            branches[name] = BranchActivity()
            continue
        with _hooked([branch.squeeze.register_forward_hook(_replace(outputs.double().mean(0)))]):
            without = _risk(model, parts, records)
        edges = _by_edges(model, parts, records, branch.edges, risk)
        branches[name] = BranchActivity(active=_active(outputs), share=_through(risk, without), edges=edges)
    return branches, _through(risk, _risk(parts.linear, parts, records))


def _by_edges(
    model: nn.Module,
    parts: Parts,
    records: Records,
    modules: Sequence[AlongEdges],
    risk: Mapping[str, Tensor],
) -> dict[str, float | None]:
    """Measure the share of the risk's variance by task that the edges of a branch make.

    Empty without edges, or where some module cannot be had without them.
    """
    with without_edges(modules) as possible:
        return _through(risk, _risk(model, parts, records)) if possible else {}


@contextmanager
def without_edges(modules: Sequence[AlongEdges]) -> Iterator[bool]:
    """Take the edges of modules away for a moment.

    The moment's value is False, and nothing is taken away, without modules or if some cannot be had without edges.
    """
    bare = [module.edgeless() for module in modules]
    pairs = [(module, other) for module, other in zip(modules, bare, strict=True) if other is not None]
    possible = 0 < len(pairs) == len(modules)
    hooks = (module.register_forward_hook(_instead(other)) for module, other in pairs if possible)
    with _hooked(hooks):
        yield possible


def _risk(outputs: Callable[[Any], Outputs], parts: Parts, records: Records) -> dict[str, Tensor]:
    """Compute the risk [U, width] by task."""
    computed = [outputs(some) for some in _chunks(records)]
    return {
        task: torch.cat([some[task] for some in computed]).double().unflatten(1, (width, -1)).mean(2)
        for task, width in parts.widths.items()
    }


def _chunks(records: R) -> Iterator[R]:
    for rows in torch.arange(len(records)).split(UNITS_AT_ONCE):
        yield records.select(rows)


def _active(units: Tensor) -> float | None:
    """Return the share of the units of patients [U, ...] that differ between patients."""
    units = units.flatten(1).double()
    scale = units.square().mean().sqrt()
    if not scale.isfinite():
        return None
    spread = (units - units[:1]).std(0)
    return _rounded(float((spread > SMALLEST_SPREAD * scale).double().mean()))


def _through(risk: Mapping[str, Tensor], without: Mapping[str, Tensor]) -> dict[str, float | None]:
    """Return the share of the risk's variance by task that is missing `without` a path."""
    shares = {}
    for task, whole in risk.items():
        missing, rest = _variance(whole - without[task]), _variance(without[task])
        shares[task] = _rounded(missing / (missing + rest) if missing + rest > 0 else math.nan)
    return shares


def _variance(risk: Tensor) -> float:
    """Return the variance over patients, summed over the numbers of the risk.

    It is exactly 0 if all patients are equal.
    """
    return float((risk - risk[:1]).var(0).sum())


def _gradients(parts: Parts, records: R, loss: Callable[[R], Tensor]) -> dict[tuple[str, bool], float | None]:
    """Return norms of the mean loss's gradient by (part, whether it is a branch)."""
    weights = {(name, True): branch.weights for name, branch in parts.branches.items()}
    weights |= {(name, False): some for name, some in parts.weights.items()}
    learnt = {key: [weight for weight in some if weight.requires_grad] for key, some in weights.items()}
    flat = [weight for some in learnt.values() for weight in some]
    totals = [torch.zeros_like(weight, dtype=torch.double) for weight in flat]
    with _drawn(parts.heads):
        for some in _chunks(records):
            losses = loss(some).double().sum() / len(records)
            for total, gradient in zip(
                totals, torch.autograd.grad(losses, flat, allow_unused=True), strict=True
            ):
                if gradient is not None:
                    total += gradient
    squares = iter([float(total.square().sum()) for total in totals])
    sums = {key: sum(next(squares) for _ in part) for key, part in learnt.items()}
    return {key: _rounded(math.sqrt(total)) for key, total in sums.items()}


def _rounded(figure: float) -> float | None:
    """Round a figure to four digits, as many as say anything; None if it is not finite."""
    return float(f"{figure:.4g}") if math.isfinite(figure) else None


@contextmanager
def _drawn(heads: Sequence[nn.Linear]) -> Iterator[None]:
    """Draw heads at random for a moment if the weights of all of them are 0."""
    if any(bool(head.weight.any()) for head in heads):
        yield
        return
    weights = [head.weight.detach().clone() for head in heads]
    with torch.no_grad():
        draw = torch.Generator().manual_seed(0)
        for head in heads:
            drawn = torch.randn(head.weight.shape, generator=draw) / head.in_features**0.5
            head.weight.copy_(drawn)
    try:
        yield
    finally:
        with torch.no_grad():
            for head, weight in zip(heads, weights, strict=True):
                head.weight.copy_(weight)


@contextmanager
def _hooked(handles: "Iterator[RemovableHandle] | Sequence[RemovableHandle]") -> Iterator[None]:
    """Remove hooks at the end."""
    registered = list(handles)
    try:
        yield
    finally:
        for handle in registered:
            handle.remove()


def _keep(outputs: list[Tensor]) -> Callable[[nn.Module, object, Tensor], None]:
    return lambda module, inputs, output: outputs.append(output.detach())


def _instead(other: nn.Module) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def replaced(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        result: Tensor = other(*inputs)
        return result

    return replaced


def _replace(mean: Tensor) -> Callable[[nn.Module, object, Tensor], Tensor]:
    return lambda module, inputs, output: mean.to(output.dtype).expand_as(output)
