"""Kinds of nodes of a modality, by name: how they are joined, pooled and scaled."""

from dataclasses import dataclass
from typing import Literal

from common.agreed import NameOf
from common.errors import RegistrationError
from common.plugins.names import note_name


@dataclass(frozen=True)
class NodeKind:
    """Kind of node that the columns of a modality are.

    Attributes:
        name: as `node` of a modality gives it.
        edges: pairs of nodes that are joined: those of the federation's file of edges, all, or none.
        has_pathways: whether nodes are pooled into the pathways of the federation's file.
        describes_patient: whether the first modality of such a kind is the query of the cross-attention.
        scaled_alone: whether noised sums scale every column by itself; else one scale serves the modality, because
            noise on the sums of a thousand columns would drown them.
        strength: of a modality that names none (`Modality.strength`).
    """

    name: str
    edges: Literal["prior", "all", "none"] = "none"
    has_pathways: bool = False
    describes_patient: bool = False
    scaled_alone: bool = False
    strength: float = 5.0


_KINDS = {
    kind.name: kind
    for kind in (
        NodeKind("clinical", edges="all", describes_patient=True, scaled_alone=True, strength=20.0),
        NodeKind("gene", edges="prior", has_pathways=True),
        NodeKind("protein", edges="prior", has_pathways=True),
        NodeKind("imaging"),
    )
}


def register_node_kind(kind: NodeKind) -> NodeKind:
    """Let modalities of a federation file be of this kind, and return it.

    Raises:
        RegistrationError: if the name is taken.
    """
    if kind.name in _KINDS:
        raise RegistrationError(f"node kind {kind.name}", "is registered already", "choose another name")
    _KINDS[kind.name] = kind
    note_name(NameOf.NODE_KIND, kind.name)
    return kind


def node_kind(name: str) -> NodeKind:
    """Return the kind of that name.

    Raises:
        ValueError: for an unknown name, with the names that are registered.
    """
    if name not in _KINDS:
        raise ValueError(f"there is no node kind {name}; use one of {', '.join(sorted(_KINDS))}")
    return _KINDS[name]


def registered_node_kinds() -> list[str]:
    """Return the names of the registered kinds."""
    return sorted(_KINDS)
