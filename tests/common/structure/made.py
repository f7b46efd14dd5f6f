"""Made-up patients whose tables have structure: factors behind genes, and genes measured in two modalities."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.settings import Participant
from common.assessment.part import Arrays, SiteSums
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.structure import site_sums
from common.structure.content import Structure, read_structure
from common.structure.part import PART
from common.tasks.survival import SurvivalTask

GENES = tuple(f"G{number}" for number in range(90))
HOSPITALS = {"one": 90, "two": 80, "three": 30}
LEAST = 5


def federation() -> Federation:
    """RNA and protein of the same genes, copy numbers of others that are not scaled, and an age."""
    return Federation(
        name="made",
        modalities=(
            Modality(name="clinical", node="clinical", columns=("age",), categories={"sex": ("f", "m")}),
            Modality(name="rna", node="gene", columns=GENES),
            Modality(name="copies", node="gene", columns=tuple(f"C{n}" for n in range(80)), scale="none"),
            Modality(name="protein", node="protein", columns=GENES[:70]),
        ),
        tasks=(
            SurvivalTask(name="survival", time="time", event="event", unit="months", longest=100, bins=4),
        ),
        participants=tuple(Participant(name=name) for name in HOSPITALS),
    )


def patients(number: int, seed: int, lacking: float = 0.2) -> PatientBatch:
    """Standardised patients; a share of them lacks proteins."""
    draw = np.random.default_rng(seed)
    loadings = np.random.default_rng(0).normal(size=(6, len(GENES)))
    factors = draw.normal(size=(number, 6)) @ loadings / 6**0.5
    gene = 0.6 * draw.normal(size=(number, len(GENES)))
    rna = (factors + gene + 0.3 * draw.normal(size=gene.shape)) / 1.2
    protein = (0.5 * factors + gene + 0.3 * draw.normal(size=gene.shape))[:, :70] / 0.85
    arms = draw.integers(-1, 2, (number, 8)) * (draw.random((number, 8)) < 0.6)
    copies = np.repeat(arms, 10, axis=1).astype(float)
    clinical = np.concatenate([draw.normal(size=(number, 1)), np.tile([1.0, 0.0], (number, 1))], 1)
    parts = {"clinical": clinical, "rna": rna, "copies": copies, "protein": protein}
    values = {name: torch.from_numpy(part).float() for name, part in parts.items()}
    observed = {name: torch.ones_like(part, dtype=torch.bool) for name, part in values.items()}
    observed["protein"] &= torch.from_numpy(draw.random((number, 1)) >= lacking)
    values["protein"] = values["protein"] * observed["protein"]
    return PatientBatch(values, observed, {}, {})


def prepared() -> Preprocessing:
    """Preprocessing that leaves values as they are."""
    sizes = {part.name: len(part.nodes) for part in federation().modalities}
    return Preprocessing(
        {name: torch.zeros(size) for name, size in sizes.items()},
        {name: torch.ones(size) for name, size in sizes.items()},
        {},
    )


def hospitals() -> dict[str, PatientBatch]:
    """Training patients of every hospital."""
    return {name: patients(number, seed) for seed, (name, number) in enumerate(HOSPITALS.items(), 1)}


def answers(batches: Mapping[str, PatientBatch], asked: Arrays, number: int) -> dict[str, SiteSums]:
    """Answers of hospitals to a question."""
    return {
        name: SiteSums(len(batch), site_sums.computed(federation(), batch, prepared(), LEAST, asked, number))
        for name, batch in batches.items()
    }


def learnt(batches: Mapping[str, PatientBatch] | None = None) -> bytes | None:
    """Member of a release that the hospitals' answers give."""
    batches = hospitals() if batches is None else batches
    asked: Arrays = {}
    agreement = federation()
    for number in range(PART.questions(agreement)):
        sites = answers(batches, asked, number)
        asked = PART.next(agreement, sites, number) if number + 1 < PART.questions(agreement) else {}
    return PART.content(agreement, sites)


def structure() -> Structure:
    """Structure of the made-up patients."""
    content = learnt()
    assert content is not None
    return read_structure(content, federation(), "made")


def changed(batch: PatientBatch, modality: str, values: torch.Tensor) -> PatientBatch:
    """Patients with other values of a modality."""
    return replace(batch, values={**batch.values, modality: values})


def reordered(batch: PatientBatch, modality: str) -> PatientBatch:
    """Patients whose columns of a modality are in another order."""
    values = batch.values[modality]
    order = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(9))
    return changed(batch, modality, values[:, order])


def of_neighbours(batch: PatientBatch, modality: str) -> PatientBatch:
    """Patients of whom everybody has the next one's values of a modality."""
    moved = changed(batch, modality, batch.values[modality].roll(1, 0))
    return replace(moved, observed={**batch.observed, modality: batch.observed[modality].roll(1, 0)})


def all_of(batches: Sequence[PatientBatch], modality: str) -> np.ndarray:
    """Values of a modality of all patients."""
    return torch.cat([batch.values[modality] for batch in batches]).double().numpy()
