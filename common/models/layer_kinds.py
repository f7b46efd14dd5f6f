"""Registry of layers between the nodes of a graph, by their names in a federation file."""

import re
from inspect import signature
from typing import Protocol

from torch import nn

from common.agreed import NameOf
from common.errors import InvalidContentError, RegistrationError
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
        RegistrationError: if the name is taken or of another form, or the factory does not take a graph, two widths
            and a number of heads.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", kind):
        form = "lower case, with digits, _ and - after its first letter"
        raise RegistrationError(f"layer {kind!r}", "has not the form of a name", f"make it {form}")
    if kind in _LAYERS:
        raise RegistrationError(f"layer {kind}", "is registered already", "choose another name")
    try:
        signature(factory).bind(None, 1, 1, 1)
    except (TypeError, ValueError):  # no function, or one of other arguments
        what = "is not built from a graph, two widths and a number of heads"
        raise RegistrationError(f"layer {kind}", what, "see common.models.layer_kinds") from None
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
