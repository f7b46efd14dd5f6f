"""Rows of the table of the field and of the ablations, with the runs behind them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from simulations.benchmarks.field.changes import (
    Change,
    LeftOut,
    modalities_of,
    only_nodes,
    only_task,
    require_edges,
    unchanged,
    with_model,
    with_permuted_values,
    with_shuffled_edges,
    without_knowledge,
    without_linear_rounds,
)

OURS = "ours"
"""Name of the row to which the others are compared."""

Parts = Mapping[str, Change]
"""Name of a run -> change of the cohort that it is trained on."""


@dataclass(frozen=True)
class FieldRow:
    """Row of a table.

    Attributes:
        name: in files.
        title: in the table.
        parts: runs behind the row in a federation; of several that predict a task the predictions are averaged. It
            raises `LeftOut` where the row does not apply.
        model: weights that predict: those that the run kept, its linear part, or no weights at all.
    """

    name: str
    title: str
    parts: Callable[[Federation], Parts]
    model: Literal["kept", "linear", "null"] = "kept"


_NODES = {
    "clinical": ("clinical",),
    "genomics": ("gene",),
    "proteomics": ("protein",),
    "imaging": ("imaging",),
}
"""Row of modalities -> kinds of their nodes."""


def _only(name: str) -> Callable[[Federation], Parts]:
    def parts(federation: Federation) -> Parts:
        kept = modalities_of(federation, _NODES[name])
        if not kept:
            raise LeftOut(f"no modality has {' or '.join(_NODES[name])} nodes")
        if len(kept) == len(federation.modalities):
            raise LeftOut(f"all modalities have {' or '.join(_NODES[name])} nodes: it is the row of ours")
        return {name: only_nodes(_NODES[name])}

    return parts


def _single_modalities(federation: Federation) -> Parts:
    """Runs on single kinds of modality, two or more."""
    kinds = {name: only_nodes(_NODES[name]) for name in _NODES if modalities_of(federation, _NODES[name])}
    if len(kinds) < 2:
        raise LeftOut("there is one kind of modality")
    return kinds


def _ours(federation: Federation) -> Parts:
    return {OURS: unchanged}


def _linear(federation: Federation) -> Parts:
    _require_linear(federation)
    return _ours(federation)


def _attention(federation: Federation) -> Parts:
    _require_linear(federation)
    return {"attention": without_linear_rounds}


def _require_linear(federation: Federation) -> None:
    if not federation.linear_rounds:
        raise LeftOut("no round fits linear scores alone")


def _model(name: str, **settings: object) -> Callable[[Federation], Parts]:
    def parts(federation: Federation) -> Parts:
        _require_graph_network(federation)
        return {name: with_model(**settings)}

    return parts


def _no_fusion(federation: Federation) -> Parts:
    _require_graph_network(federation)
    if len(federation.modalities) < 2:
        raise LeftOut("there is one modality")
    return {"no-fusion": with_model(fusion_layers=0)}


def _require_graph_network(federation: Federation) -> None:
    if not isinstance(federation.model, HierarchicalConfig):
        raise LeftOut(f"a model of kind {federation.model.kind} has no such layers")


def _single_tasks(federation: Federation) -> Parts:
    if len(federation.tasks) < 2:
        raise LeftOut("there is one task")
    return {f"task-{task.name}": only_task(task.name) for task in federation.tasks}


def _knowledge(name: str, change: Change) -> Callable[[Federation], Parts]:
    def parts(federation: Federation) -> Parts:
        require_edges(federation)
        return {name: change}

    return parts


ROWS = (
    FieldRow("null", "Null model (Kaplan-Meier, frequencies)", _ours, "null"),
    FieldRow("clinical", "Clinical only", _only("clinical")),
    FieldRow("genomics", "Genomics only", _only("genomics")),
    FieldRow("proteomics", "Proteomics only", _only("proteomics")),
    FieldRow("imaging", "Imaging only", _only("imaging")),
    FieldRow("late-fusion", "Late fusion: mean of these models", _single_modalities),
    FieldRow("attention", "Attention fusion: no linear rounds", _attention),
    FieldRow("federated-linear", "Federated linear", _linear, "linear"),
    FieldRow(OURS, "Ours", _ours),
)
"""Table of the field."""

ABLATIONS = (
    FieldRow(OURS, "Ours", _ours),
    FieldRow(
        "no-node-graph",
        "Without graph within modalities",
        _model("no-node-graph", gcn_layers=0, gat_layers=0, pathway_gat_layers=0),
    ),
    FieldRow("no-fusion", "Without fusion layers between modalities", _no_fusion),
    FieldRow("single-task", "Every task trained alone", _single_tasks),
    FieldRow(
        "shuffled-edges", "Edges shuffled, degrees kept", _knowledge("shuffled-edges", with_shuffled_edges)
    ),
    FieldRow("no-knowledge", "Without edges and pathways", _knowledge("no-knowledge", without_knowledge)),
    FieldRow(
        "permuted-values", "Values permuted over nodes", _knowledge("permuted-values", with_permuted_values)
    ),
    FieldRow("gcn", "GCN only", _model("gcn", gcn_layers=1, gat_layers=0, pathway_gat_layers=0)),
    FieldRow("gat", "GAT only", _model("gat", gcn_layers=0, gat_layers=1, pathway_gat_layers=1)),
)
"""Ablations: the model with one part removed or destroyed."""


def applicable(
    rows: Iterable[FieldRow], federation: Federation
) -> tuple[dict[str, tuple[FieldRow, Parts]], dict[str, str]]:
    """Return name -> (row, its runs) where rows apply, and title -> reason of the others."""
    kept, left_out = {}, {}
    for row in rows:
        try:
            kept[row.name] = (row, row.parts(federation))
        except LeftOut as reason:
            left_out[row.title] = str(reason)
    return kept, left_out
