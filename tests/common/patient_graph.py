"""One patient as PyG's own kind of graph: the reference that topologies and layers are compared with."""

import torch
from torch_geometric.data import HeteroData

from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.patients.batch import PatientBatch


def patient_graph(batch: PatientBatch, patient: int, federation: Federation, prior: Prior) -> HeteroData:
    """One patient as a PyG `HeteroData`.

    Node types: `patient` (one node), one per modality present (x: [observed nodes... all nodes, 2] value and
    observed flag), and `MODALITY pathway`. Edge types: (modality, "prior", modality), (modality, "member of",
    pathway), (modality, "of", patient) from its observed nodes.
    """
    graph = HeteroData()
    graph["patient"].num_nodes = 1
    for modality in federation.modalities:
        name, observed = modality.name, batch.observed[modality.name][patient]
        if not observed.any():
            continue
        graph[name].x = torch.stack([batch.values[name][patient], observed.float()], dim=1)
        graph[name, "prior", name].edge_index = prior.topology[name].edge_index
        here = observed.nonzero().squeeze(1)
        graph[name, "of", "patient"].edge_index = torch.stack([here, torch.zeros_like(here)])
        if name in prior.membership:
            members = prior.membership[name].matrix.to_sparse_coo().coalesce().indices()
            graph[f"{name} pathway"].num_nodes = len(prior.membership[name].pathways)
            graph[name, "member of", f"{name} pathway"].edge_index = members.flip(0)
    return graph
