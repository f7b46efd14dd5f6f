"""Enrichment finds planted pathways, names no others, and needs no network."""

import socket
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import hypergeom

from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.explanation.enrichment import (
    LEAST_PATIENTS,
    Enrichment,
    GeneTally,
    enriched,
    over_represented,
)
from common.explanation.path import Attribution
from common.explanation.targets import Explained
from common.models.graphs import Prior
from common.patients.batch import PatientBatch

GENES = [f"G{number}" for number in range(1000)]
PATHWAYS = {f"P{number}": GENES[number * 10 : number * 10 + 25] for number in range(90)}
RISK = Explained("survival", "", 3.0, "months", "log cumulative hazard", 1.0, lambda logits: logits[:, 0])


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("enrichment asked for a socket")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


def test_a_planted_pathway_is_found_with_the_chance_of_the_hypergeometric_distribution() -> None:
    top = [*PATHWAYS["P40"][5:20], *GENES[900:985]]
    tested = over_represented("rna", top, GENES, PATHWAYS)
    assert len(tested) == len(PATHWAYS)
    for pathway in tested:
        expected = hypergeom.sf(pathway.among_top - 1, len(GENES), pathway.genes, len(top))
        assert pathway.p == pytest.approx(expected, rel=1e-6)
        assert pathway.by_chance == 2.5
    first = enriched(tested)[0]
    assert (first.pathway, first.among_top) == ("P40", 15)
    assert first.q < 1e-6


def test_a_pathway_without_a_gene_of_the_background_is_not_tested() -> None:
    assert [p.pathway for p in over_represented("rna", ["G0"], GENES, {"A": ["G0"], "B": []})] == ["A"]
    nothing = over_represented("rna", ["G0"], GENES, {"A": ["G1", "G2"]})
    assert [(pathway.p, pathway.among_top) for pathway in nothing] == [(1.0, 0)]
    assert enriched([]) == []


@pytest.mark.slow
def test_random_genes_are_enriched_in_one_of_twenty_lists_at_most() -> None:
    draw = np.random.default_rng(0)
    lists = [draw.choice(GENES, 100, replace=False).tolist() for _ in range(200)]
    false = [bool(enriched(over_represented("rna", top, GENES, PATHWAYS))) for top in lists]
    assert np.mean(false) <= 0.05


def tally(patients: int, patient: PatientBatch, largest: list[int]) -> GeneTally:
    counted = GeneTally()
    for number in range(patients):
        values = {name: torch.full_like(part[0], 0.01).double() for name, part in patient.values.items()}
        values["rna"][largest] = (-1.0) ** number
        counted.add(patient, RISK, Attribution(values, values, 0.0, 1.0, 32))
    return counted


def test_genes_of_many_patients_are_summed_up_by_size(
    federation: Federation, prior: Prior, whole: PatientBatch
) -> None:
    patient = whole.select(torch.tensor([0]))
    (made,) = tally(12, patient, [0, 1]).enrichments(federation, prior)
    assert (made.task, made.horizon, made.patients, made.tested) == ("survival", 3.0, 12, 2)
    assert made.genes == {"rna": 12}
    assert made.pathways == ()
    assert "none" in made.lines()[1]
    assert Enrichment.model_validate_json(made.model_dump_json()) == made


def test_genes_that_few_patients_have_are_no_background(
    federation: Federation, prior: Prior, whole: PatientBatch
) -> None:
    patient = whole.select(torch.tensor([0]))
    patient.observed["rna"][0, 3:] = False
    (made,) = tally(LEAST_PATIENTS, patient, [0]).enrichments(federation, prior)
    assert made.genes == {"rna": 3}


def test_too_few_patients_and_a_file_without_pathways_are_refused(
    federation: Federation, prior: Prior, whole: PatientBatch
) -> None:
    patient = whole.select(torch.tensor([0]))
    for patients in (0, LEAST_PATIENTS - 1):
        with pytest.raises(InvalidContentError):
            tally(patients, patient, [0]).enrichments(federation, prior)
    with pytest.raises(InvalidContentError):
        tally(LEAST_PATIENTS, patient, [0]).enrichments(federation, replace(prior, membership={}))
