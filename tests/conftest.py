"""A small federation and random patients of it, made by hand."""

from collections.abc import Callable

import pytest
import torch

from common.batch import PatientBatch
from common.federation import (
    Federation,
    Modality,
    ModelConfig,
    Participant,
    ResponseTask,
    SurvivalTask,
    ToxicityTask,
    Training,
)
from common.graphs import Prior, membership, topology
from common.preprocessing import Preprocessing

GENES = tuple(f"GENE{index}" for index in range(12))
EDGES = [(0, 1), (1, 2), (2, 3), (0, 4), (5, 6), (6, 7), (8, 9)]
PATHWAYS = [("alpha", f"GENE{index}") for index in range(5)] + [
    ("beta", f"GENE{index}") for index in range(4, 9)
]
CUTS = {"survival": torch.tensor([1.0, 2.0, 4.0, 8.0])}


def _federation(**changes: object) -> Federation:
    """Four modalities of which one has pathways, and one task of every kind."""
    parts: dict[str, object] = {
        "name": "test",
        "modalities": (
            Modality(name="clinical", node="clinical", columns=("age",), categories={"sex": ("f", "m")}),
            Modality(name="rna", node="gene", columns=GENES),
            Modality(name="protein", node="protein", columns=("P1", "P2", "P3")),
            Modality(name="imaging", node="imaging", columns=("i1", "i2", "i3", "i4")),
        ),
        "tasks": (
            SurvivalTask(name="survival", time="time", event="event", unit="months", longest=100, bins=4),
            ResponseTask(name="response", label="response", classes=("no", "partial", "yes")),
            ToxicityTask(name="toxicity", labels=("rash", "nausea")),
        ),
        "model": ModelConfig(node_width=4, pathway_width=6, width=8, heads=2, gat_layers=1),
        "training": Training(rounds=3, batch_size=4),
        "participants": (Participant(name="one"), Participant(name="two")),
    }
    return Federation.model_validate(parts | changes)


@pytest.fixture
def make_federation() -> Callable[..., Federation]:
    return _federation


@pytest.fixture
def federation() -> Federation:
    return _federation()


@pytest.fixture
def prior() -> Prior:
    """The graphs of `federation`: two overlapping pathways over the genes."""
    members = membership(GENES, PATHWAYS)
    assert members is not None
    return Prior(
        topology={
            "clinical": topology(3, [(0, 1), (0, 2), (1, 2)]),
            "rna": topology(12, EDGES),
            "protein": topology(3, [(0, 1)]),
            "imaging": topology(4, []),
        },
        membership={"rna": members},
        hierarchy={"rna": topology(2, [(0, 1)])},
    )


def _batch(patients: int = 6, seed: int = 0) -> PatientBatch:
    """Random patients with missing values, missing modalities and missing labels."""
    draw = torch.Generator().manual_seed(seed)
    agreed = _federation()
    values, observed = {}, {}
    for modality in agreed.modalities:
        shape = (patients, len(modality.nodes))
        known = torch.rand(shape, generator=draw) > 0.2
        known &= torch.rand((patients, 1), generator=draw) > 0.2
        values[modality.name] = torch.randn(shape, generator=draw) * known
        observed[modality.name] = known
    time = torch.rand(patients, generator=draw) * 10
    event = (torch.rand(patients, generator=draw) > 0.5).float()
    labels = {
        "survival": torch.stack([time, event], dim=1),
        "response": torch.randint(3, (patients, 1), generator=draw).float(),
        "toxicity": torch.randint(2, (patients, 2), generator=draw).float(),
    }
    labelled = {
        "survival": (torch.rand((patients, 1), generator=draw) > 0.1).expand(-1, 2).clone(),
        "response": torch.rand((patients, 1), generator=draw) > 0.3,
        "toxicity": torch.rand((patients, 2), generator=draw) > 0.3,
    }
    return PatientBatch(values, observed, {n: t * labelled[n] for n, t in labels.items()}, labelled)


@pytest.fixture
def make_batch() -> Callable[..., PatientBatch]:
    return _batch


@pytest.fixture
def cuts() -> dict[str, torch.Tensor]:
    return CUTS


@pytest.fixture
def preprocessing() -> Preprocessing:
    """Leaves values as they are."""
    sizes = {modality.name: len(modality.nodes) for modality in _federation().modalities}
    return Preprocessing(
        {name: torch.zeros(size) for name, size in sizes.items()},
        {name: torch.ones(size) for name, size in sizes.items()},
        CUTS,
    )
