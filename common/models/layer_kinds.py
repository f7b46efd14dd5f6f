"""Registry of layers between the nodes of a graph, by their names in a federation file."""

from typing import Protocol

from torch import nn

from common.agreed import NameOf
from common.errors import InvalidContentError, OptionError
from common.models.graphs import Topology
from common.models.layers import GAT, GCN
from common.plugins.names import note_name


class LayerFactory(Protocol):
    """Builder of a layer from node features [B, N, width_in] to [B, N, width_out].

    The layer mixes nodes of one patient along the graph and never patients; `heads` divides both widths.
    """

    def __call__(self, graph: Topology, width_in: int, width_out: int, heads: int, /) -> nn.Module:
        """Build the layer over a graph of N nodes."""


def _gcn(graph: Topology, width_in: int, width_out: int, heads: int) -> nn.Module:
    return GCN(graph, width_in, width_out)


_LAYERS: dict[str, LayerFactory] = {"gcn": _gcn, "gat": GAT}


def register_layer(kind: str, factory: LayerFactory) -> None:
    """Give a kind of layer a name for `model.layers`.

    Raises:
        OptionError: if the name is taken.
    """
    if kind in _LAYERS:
        raise OptionError(f"layer {kind}", "is registered already", "choose another name")
    _LAYERS[kind] = factory
    note_name(NameOf.LAYER, kind)


def layer_between_nodes(kind: str, graph: Topology, width_in: int, width_out: int, heads: int) -> nn.Module:
    """Build a layer by its name.

    Raises:
        InvalidContentError: if no layer has that name.
    """
    if kind not in _LAYERS:
        raise InvalidContentError(
            "model.layers", f"names an unknown layer, {kind}", f"use {', '.join(sorted(_LAYERS))}"
        )
    return _LAYERS[kind](graph, width_in, width_out, heads)
