"""Workloads of the benchmarks: a model and a batch of patients of a known size.

The reference configuration is that of a large multimodal study: 1,000 genes and 300 proteins on scale-free graphs, 32
clinical features, 4,096 imaging features, hidden width 64 at every level. The code makes it from a seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Training
from common.models.federated import FederatedModel
from common.models.graphs import Membership, Prior, load_prior, membership, topology
from common.models.registry import initial_model
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import combine, site_statistics
from common.privacy.planning import with_privacy
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import write_cohort
from simulations.work_folder import work_folder

GENES, PROTEINS, CLINICAL, IMAGING = 1000, 300, 32, 16 * 256


LINKS = 8
"""Edges that a node, but for the first few, brings into its graph: 7,936 between genes, 2,336 between proteins."""


PATHWAYS, MEMBERS = 50, 40


MISSING = 0.3


BINS = 12


@dataclass(frozen=True)
class Workload:
    """Federation with its graphs, a batch of patients, and `cuts`, the hazard intervals."""

    name: str
    federation: Federation
    prior: Prior
    batch: PatientBatch
    cuts: dict[str, Tensor]

    def model(self, seed: int = 0) -> FederatedModel:
        """Make a model whose parameters are all away from 0, so that no path is idle."""
        with torch.random.fork_rng(devices=[]):
            model = initial_model(self.federation, self.prior, seed)
            torch.manual_seed(seed)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_(0.05 * torch.randn_like(parameter))
        return model


def reference(patients: int = 32, seed: int = 0) -> Workload:
    """Make the reference configuration with random patients and no dropout.

    Every modality is absent for 30% of the patients.
    """
    draw = np.random.default_rng(seed)
    sizes = {"clinical": CLINICAL, "rna": GENES, "protein": PROTEINS, "imaging": IMAGING}
    names = {name: tuple(f"{name}{index}" for index in range(size)) for name, size in sizes.items()}
    federation = Federation(
        name="reference",
        modalities=(
            Modality(name="clinical", node="clinical", columns=names["clinical"]),
            Modality(name="rna", node="gene", columns=names["rna"]),
            Modality(name="protein", node="protein", columns=names["protein"]),
            Modality(name="imaging", node="imaging", columns=names["imaging"]),
        ),
        tasks=(
            SurvivalTask(name="survival", time="time", event="event", unit="months", longest=600, bins=BINS),
            ResponseTask(name="response", label="response", classes=("no", "partial", "yes")),
            ToxicityTask(name="toxicity", labels=("skin", "gut", "blood")),
        ),
        model=HierarchicalConfig(
            node_width=64,
            pathway_width=64,
            width=64,
            heads=4,
            node_heads=4,
            gcn_layers=1,
            gat_layers=2,
            pathway_gat_layers=1,
            fusion_layers=2,
        ),
        training=Training(batch_size=patients),
        participants=(Participant(name="one"), Participant(name="two")),
    )
    prior = Prior(
        topology={
            "clinical": topology(CLINICAL, ((i, j) for i in range(CLINICAL) for j in range(i))),
            "rna": topology(GENES, scale_free(GENES, LINKS, draw)),
            "protein": topology(PROTEINS, scale_free(PROTEINS, LINKS, draw)),
            "imaging": topology(IMAGING, ()),
        },
        membership={name: _pathways(names[name], draw) for name in ("rna", "protein")},
        hierarchy={
            name: topology(PATHWAYS, ((i, i // 2) for i in range(1, PATHWAYS))) for name in ("rna", "protein")
        },
    )
    cuts = {"survival": torch.linspace(5, 60, BINS)}
    agreed = with_privacy(federation, privacy_for(patients))
    return Workload("reference", agreed, prior, _patients(federation, patients, draw), cuts)


def privacy_for(patients: int) -> Privacy:
    """Terms for an expected batch of so many patients, training every parameter."""
    return Privacy(noise_multiplier=1.1, sampling_rate=0.1, expected_batch_size=patients, learn="all")


def of_cohort(cohort: str, data: Path | None, patients: int) -> Workload:
    """Make the shipped model, without dropout, and `patients` of a cohort's patients.

    Raises:
        InputError: if the cohort's data are not there.
    """
    with work_folder() as folder:
        out = folder / "cohort"
        write_cohort(cohort, data, out)
        federation = load(out / FILE_NAME)
        everyone = concatenate([read_cohort(site, federation).batch for site in find_sites(out)])
        prior = load_prior(federation, out)
    preprocessing = combine([site_statistics(everyone, federation)], federation)
    chosen = torch.randperm(len(everyone), generator=torch.Generator().manual_seed(0))[:patients]
    batch = preprocessing.apply(everyone.select(chosen))
    return Workload(cohort, with_privacy(federation, privacy_for(patients)), prior, batch, preprocessing.cuts)


def scale_free(nodes: int, links: int, draw: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Grow the edges of a scale-free graph by preferential attachment.

    There are (nodes - links) x links edges (Barabasi & Albert 1999).
    """
    ends: list[int] = list(range(links))
    for node in range(links, nodes):
        chosen: set[int] = set()
        while len(chosen) < links:  # an end of an edge drawn at random is a node drawn by its degree
            chosen.add(ends[draw.integers(len(ends))])
        for neighbour in sorted(chosen):
            ends += [node, neighbour]
            yield node, neighbour


def _pathways(names: tuple[str, ...], draw: np.random.Generator) -> Membership:
    pairs = [
        (f"pathway{index}", names[node])
        for index in range(PATHWAYS)
        for node in draw.choice(len(names), MEMBERS, replace=False)
    ]
    members = membership(names, pairs)
    assert members is not None
    return members


def _patients(federation: Federation, patients: int, draw: np.random.Generator) -> PatientBatch:
    values, observed = {}, {}
    for modality in federation.modalities:
        has = torch.from_numpy(draw.random((patients, 1)) >= MISSING)
        drawn = torch.from_numpy(draw.standard_normal((patients, len(modality.nodes)))).float()
        values[modality.name], observed[modality.name] = drawn * has, has.expand_as(drawn).clone()
    times = np.stack([draw.exponential(30.0, patients), draw.random(patients) < 0.5], axis=1)
    labels = {
        "survival": torch.from_numpy(times).float(),
        "response": torch.from_numpy(draw.integers(3, size=(patients, 1))).float(),
        "toxicity": torch.from_numpy(draw.integers(2, size=(patients, 3))).float(),
    }
    return PatientBatch(values, observed, labels, {name: label >= 0 for name, label in labels.items()})
