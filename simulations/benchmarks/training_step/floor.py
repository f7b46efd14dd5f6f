"""Floor under a training step: operations and bytes by formula, and the machine's rates."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from common.agreement.model_config import HierarchicalConfig
from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from common.models.graphs import Topology
from simulations.benchmarks.measuring.reference import Workload

FLOAT = 4
"""Bytes of a number."""


OPTIMISER = 7
"""Numbers per parameter that a step of Adam reads and writes: weight, gradient and two moments, all but one twice."""


TRIES = 9


@dataclass(frozen=True)
class Demand:
    """Operations in matrix products and messages, and bytes moved, of one training step.

    A multiplication and an addition count as two. Elementwise operations count as bytes alone, and those that can be
    done while a number is at hand (bias, activation, residual) not at all.
    """

    products: float
    messages: float
    bytes: float

    @property
    def operations(self) -> float:
        """Sum of all counted operations."""
        return self.products + self.messages


@dataclass(frozen=True)
class Rates:
    """Operations/s of a large matrix product and bytes/s of a copy, in one thread."""

    products: float
    copy: float


def demand(work: Workload) -> Demand:
    """Count the demand of a step of Consilium's model on a workload's batch.

    A linear layer on R rows takes 2 R inputs outputs forward, as much for the gradient of its weight, and as much for
    that of its input unless that is data. A message takes 2 per edge and feature; a GCN passes it forward and back, a
    GAT also for the gradient of its scores. Every layer reads and writes rows once each way.
    """
    model = work.model()
    layers = _layers(model, work)
    config = HierarchicalConfig.of(work.federation.model)
    patients, width = len(work.batch), config.width
    products = sum(
        2 * rows * layer.weight.numel() * (2 + inner)
        for layer, rows, inner in layers
        if isinstance(layer, nn.Linear)
    )
    tokens = len(work.federation.modalities) + 1
    pairs = tokens + config.fusion_layers * tokens**2
    products += 3 * 2 * 2 * patients * pairs * width
    moved = sum(parameter.numel() for parameter in model.parameters()) * OPTIMISER
    for layer, rows, inner in layers:
        inputs, outputs = layer.weight.shape[-1], layer.weight.shape[0]
        moved += rows * (2 * outputs + (2 + inner) * inputs)
    messages, carried = _messages(work)
    return Demand(products, messages, FLOAT * (moved + carried))


def _layers(model: FederatedModel, work: Workload) -> list[tuple[nn.Linear | nn.LayerNorm, int, bool]]:
    """Layers as the model uses them: rows, and whether the input has a gradient."""
    uses: list[tuple[nn.Linear | nn.LayerNorm, int, bool]] = []

    def saw(layer: nn.Linear | nn.LayerNorm, inputs: tuple[Tensor], output: Tensor) -> None:
        rows = inputs[0].shape[:-1].numel()
        uses.append((layer, rows, inputs[0].requires_grad))

    watched = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.LayerNorm)]
    handles = [layer.register_forward_hook(saw) for layer in watched]
    patient_loss(model, work.batch, work.federation, work.cuts)
    for handle in handles:
        handle.remove()
    return uses


def _messages(work: Workload) -> tuple[float, float]:
    """(operations, numbers read and written) of all messages along edges, there and back."""
    config = HierarchicalConfig.of(work.federation.model)
    operations, moved = 0.0, 0.0
    for modality in work.federation.modalities:
        here = int(work.batch.present(modality.name).sum())
        graph = work.prior.topology[modality.name]
        parts = [_graph(graph, config.node_width, config.gcn_layers, config.gat_layers, config.node_heads)]
        if modality.name in work.prior.membership:
            members = work.prior.membership[modality.name].matrix
            parts.append(
                (4 * len(members.values()) * config.node_width, 2 * sum(members.shape) * config.node_width)
            )
            ladder = work.prior.hierarchy[modality.name]
            parts.append(
                _graph(ladder, config.pathway_width, 0, config.pathway_gat_layers, config.node_heads)
            )
        operations += here * sum(part for part, _ in parts)
        moved += here * sum(part for _, part in parts)
    return operations, moved


def _graph(graph: Topology, width: int, gcn: int, gat: int, heads: int) -> tuple[float, float]:
    """Operations and numbers of one patient's layers on one graph; 0 without edges.

    Coefficients are written once and read twice.
    """
    if graph.edgeless:
        return 0.0, 0.0
    edges, nodes = len(graph.columns), graph.nodes
    return (4 * gcn + 6 * gat) * edges * width, (4 * gcn + 6 * gat) * nodes * width + 3 * gat * heads * edges


def rates(size: int = 1536, megabytes: int = 128) -> Rates:
    """Measure this machine: the best of a few products of float32 matrices, and of copies."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    source = torch.zeros(megabytes << 18)
    target = torch.zeros_like(source)
    return Rates(
        products=2 * size**3 / _best(lambda: torch.mm(a, b, out=out)),
        copy=2 * FLOAT * source.numel() / _best(lambda: target.copy_(source)),
    )


def _best(work: Callable[[], object]) -> float:
    """Least CPU seconds."""
    taken = []
    for _ in range(TRIES):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)
