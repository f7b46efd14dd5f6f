import numpy as np
import torch

from common.agreement.model_config import HierarchicalConfig
from common.patients.guarantee import check_agreement
from common.privacy.guarantee import check_model
from simulations.benchmarks.measuring.reference import (
    GENES,
    IMAGING,
    LINKS,
    MISSING,
    of_cohort,
    reference,
    scale_free,
)


def test_the_reference_is_the_published_configuration_and_the_same_every_time() -> None:
    work, again = reference(patients=64), reference(patients=64)
    sizes = {name: graph.nodes for name, graph in work.prior.topology.items()}
    assert sizes == {"clinical": 32, "rna": 1000, "protein": 300, "imaging": 4096}
    assert work.prior.topology["rna"].edge_index.shape[1] == 2 * (GENES - LINKS) * LINKS + GENES
    assert work.prior.topology["imaging"].edge_index.shape[1] == IMAGING
    missing = np.mean([1 - work.batch.present(name).float().mean().item() for name in sizes])
    assert abs(missing - MISSING) < 0.1
    assert all(torch.equal(work.batch.values[name], again.batch.values[name]) for name in sizes)
    first, second = work.model().state_dict(), again.model().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    check_agreement(work.federation)
    check_model(work.model())


def test_a_scale_free_graph_has_hubs_and_no_edge_twice() -> None:
    edges = list(scale_free(400, 4, np.random.default_rng(0)))
    assert len({frozenset(edge) for edge in edges}) == len(edges) == 396 * 4
    assert all(a != b for a, b in edges)
    degree = np.bincount(np.array(edges).ravel(), minlength=400)
    assert degree[4:].min() >= 4
    assert degree.max() > 6 * degree.mean()


def test_the_shipped_model_is_measured_on_patients_of_the_cohort() -> None:
    work = of_cohort("synthetic", None, 12)
    assert len(work.batch) == 12
    assert work.federation.privacy is not None
    assert HierarchicalConfig.of(work.federation.model).dropout == 0
    assert all(values.abs().max() < 50 for values in work.batch.values.values())
