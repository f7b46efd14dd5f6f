"""Patients and prior graphs of a site as named tensors, for the on-disk cache."""

import json
from dataclasses import fields

import torch
from torch import Tensor

from client.data.cohort import Cohort
from client.site_folder.site_file import SiteFile
from common.agreement.federation import Federation
from common.models.graphs import Membership, Prior, Topology
from common.patients.batch import PatientBatch

_METADATA = "metadata"
"""Name of the tensor that holds, as JSON, what is no tensor."""


_MATRICES = ("matrix", "transposed")


def pack_site(prior: Prior, cohort: Cohort) -> dict[str, Tensor]:
    """Name the tensors of graphs and cohort; what is no tensor is JSON under `_METADATA`."""
    tensors = {"fold": cohort.fold, "marks": cohort.marks}
    tensors |= {f"raw {name}": tensor for name, tensor in cohort.raw.items()}
    for field in fields(PatientBatch):
        for name, tensor in getattr(cohort.batch, field.name).items():
            tensors[f"{field.name} {name}"] = tensor
    for kind, graphs in (("topology", prior.topology), ("hierarchy", prior.hierarchy)):
        for name, graph in graphs.items():
            tensors |= {
                f"{kind} {name} {field.name}": getattr(graph, field.name) for field in fields(Topology)
            }
    for name, members in prior.membership.items():
        for kind in _MATRICES:
            matrix = getattr(members, kind)
            prefix = f"membership {name} {kind}"
            tensors[f"{prefix} rows"] = matrix.crow_indices()
            tensors[f"{prefix} columns"] = matrix.col_indices()
            tensors[f"{prefix} values"] = matrix.values()
    metadata = {
        "unmatched": cohort.unmatched,
        "pathways": {name: members.pathways for name, members in prior.membership.items()},
    }
    tensors[_METADATA] = torch.frombuffer(bytearray(json.dumps(metadata).encode()), dtype=torch.uint8)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def unpack_site(tensors: dict[str, Tensor], site: SiteFile, federation: Federation) -> tuple[Prior, Cohort]:
    """Read graphs and cohort, who then have no subgroups."""
    metadata = json.loads(tensors[_METADATA].numpy().tobytes())
    modalities = [modality.name for modality in federation.modalities]
    tasks = [task.name for task in federation.tasks]

    def all_of(kind: str, names: list[str]) -> dict[str, Tensor]:
        return {name: tensors[f"{kind} {name}"] for name in names}

    def graph(kind: str, name: str) -> Topology:
        return Topology(**{field.name: tensors[f"{kind} {name} {field.name}"] for field in fields(Topology)})

    batch = PatientBatch(
        all_of("values", modalities),
        all_of("observed", modalities),
        all_of("labels", tasks),
        all_of("labelled", tasks),
    )
    members = {
        name: _membership(tensors, name, tuple(pathways), len(federation.modality(name).nodes))
        for name, pathways in metadata["pathways"].items()
    }
    prior = Prior(
        {name: graph("topology", name) for name in modalities},
        members,
        {name: graph("hierarchy", name) for name in members},
    )
    group, unmatched = (site.name,) * len(batch), dict(metadata["unmatched"])
    raw = all_of("raw", [modality.name for modality in federation.modalities if modality.changes_values])
    cohort = Cohort(site.name, batch, tensors["fold"], group, unmatched, tensors["marks"], raw, site)
    return prior, cohort


def _membership(tensors: dict[str, Tensor], name: str, pathways: tuple[str, ...], nodes: int) -> Membership:
    sizes = {"matrix": (len(pathways), nodes), "transposed": (nodes, len(pathways))}

    def matrix(kind: str) -> Tensor:
        prefix = f"membership {name} {kind}"
        rows, columns, values = (tensors[f"{prefix} {part}"] for part in ("rows", "columns", "values"))
        with torch.sparse.check_sparse_tensor_invariants(False):
            return torch.sparse_csr_tensor(rows, columns, values, size=sizes[kind])

    return Membership(pathways, matrix("matrix"), matrix("transposed"))
