"""Sums of explanations over hospitals are those of the pooled patients, and tell nothing of a few."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.agreement.prior_graph import PublicFile
from common.agreement.privacy_settings import Privacy
from common.assessment.part import AnyPart, Arrays, SiteSums, flat_size, members_of, parts_of, unflattened
from common.assessment.view import View
from common.explanation.cohort_sums import named
from common.explanation.explain import explain
from common.explanation.outcomes import LIMIT
from common.explanation.part import PART, ExplanationPart
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.release.explanation_table import ExplanationTable
from common.release.members import EXPLANATIONS

MakeNetwork = Callable[..., Network]
PRIVATE = ExplanationPart()
ANY: AnyPart = cast("AnyPart", PRIVATE)


@pytest.fixture
def agreed(federation: Federation) -> Federation:
    asked = federation.changed({"statistics.explanations": "true"})
    prior = asked.prior.model_copy(update={"pathways": PublicFile(path="pathways.csv", sha256="0" * 64)})
    return asked.model_copy(update={"prior": prior})


@pytest.fixture
def compute(make_network: MakeNetwork, agreed: Federation) -> Callable[..., Arrays]:
    network = replace(make_network(), federation=agreed)

    def sums(patients: PatientBatch, least: int = 1) -> Arrays:
        return PART.computed(View(network, patients, least, lambda model, some: model(some)), {}, 0)

    return sums


def test_it_is_asked_only_where_the_file_says_so(federation: Federation, agreed: Federation) -> None:
    assert PART.questions(federation) == 0
    assert PART.questions(agreed) == 1
    assert agreed.digest != federation.digest
    assert PART in parts_of(agreed)
    assert PART not in parts_of(federation)
    assert members_of(agreed)[EXPLANATIONS] is PART
    assert parts_of(privately(federation)) == ()
    assert parts_of(privately(agreed)) == (PART,), "nothing else gets noise"


def privately(federation: Federation, noise: float = 10.0) -> Federation:
    privacy = Privacy(
        noise_multiplier=1, sampling_rate=0.1, expected_batch_size=3, explanations_noise_multiplier=noise
    )
    return federation.model_copy(update={"privacy": privacy})


def test_under_privacy_a_patient_adds_no_more_than_the_bound(
    make_network: MakeNetwork, agreed: Federation, make_batch: Callable[..., PatientBatch]
) -> None:
    private = privately(agreed)
    network = replace(make_network(), federation=private)
    pooled = make_batch(6)
    spoilt = {name: values.clone() for name, values in pooled.values.items()}
    spoilt["rna"][5] = 1e6
    spoilt["protein"][4] = float("nan")
    pooled = PatientBatch(spoilt, pooled.observed, {}, {})

    def summed(rows: torch.Tensor) -> Arrays:
        view: View[Federation, PatientBatch, Preprocessing] = View(
            network, pooled.select(rows), 1, lambda model, some: model(some)
        )
        flat = PRIVATE.bounded(view)
        assert flat.shape == (flat_size(ANY, private),)
        return unflattened(ANY, private, flat)

    alone = [summed(torch.tensor([row])) for row in range(6)]
    for patient in alone:
        flat = np.concatenate([patient[name].ravel() for name in ("signed", "absolute", "patients")])
        assert np.linalg.norm(flat) <= PRIVATE.bound(private) * (1 + 1e-12)
    together = summed(torch.arange(6))
    assert together["patients"] == 6
    for name in ("signed", "absolute"):
        assert np.abs(together[name] - sum(patient[name] for patient in alone)).max() < 1e-12
    assert together["absolute"].any()


@pytest.mark.parametrize("patients", [2_000, 4])
def test_under_privacy_what_noise_may_have_made_is_not_told(agreed: Federation, patients: int) -> None:
    private, rng = privately(agreed, noise=2.0), np.random.default_rng(0)
    shape = PART.sums(private, 0)["signed"].shape
    deviation = 2.0 * PRIVATE.bound(private)
    sites = {}
    for name in ("east", "west"):
        sums = {kind: rng.normal(0, deviation, shape) for kind in ("signed", "absolute")}
        sums["absolute"][0, :2] += 0.5 * patients
        sums["signed"][0, :2] += np.array([-0.4, 0.4]) * patients
        sites[name] = SiteSums(1, sums | {"patients": np.array([patients + rng.normal(0, deviation)])})
    content = PART.content(private, sites)
    if patients == 4:
        assert content is None
        return
    table = ExplanationTable.read(content or b"")
    assert table is not None
    assert table.hospitals == 2
    assert table.patients == pytest.approx(4_000, abs=30)
    assert table.noise == pytest.approx(deviation * 2**0.5 / 4_000, rel=0.05)
    (first, *others) = table.outcomes
    told = {part.modality: part for part in first.modalities}
    assert set(told) == {modality.name for modality in private.modalities[:2]}
    assert [part.signed for part in told.values()] == pytest.approx([-0.4, 0.4], abs=0.02) or [
        part.signed for part in told.values()
    ] == pytest.approx([0.4, -0.4], abs=0.02)
    assert not first.pathways
    assert not any(outcome.modalities or outcome.pathways for outcome in others)
    assert "noise" in table.lines()[0]


def test_sums_over_hospitals_are_those_of_the_pooled_patients(
    compute: Callable[..., Arrays], agreed: Federation, make_batch: Callable[..., PatientBatch]
) -> None:
    pooled = make_batch(9)
    parts = [compute(pooled.select(rows)) for rows in torch.arange(9).split(3)]
    for name, limit in PART.sums(agreed, 0).items():
        whole = compute(pooled)[name]
        assert np.abs(whole - sum(part[name] for part in parts)).max() < 1e-12
        assert whole.shape == limit.shape
        assert whole.dtype == np.float64
        assert (whole >= 9 * limit.low).all()
        assert (whole <= 9 * limit.high).all()
    assert (np.abs(compute(pooled)["signed"]) <= compute(pooled)["absolute"] + 1e-12).all()


def test_what_few_patients_have_is_not_told(
    compute: Callable[..., Arrays], make_batch: Callable[..., PatientBatch]
) -> None:
    batch = make_batch(6)
    observed = {name: torch.ones_like(mask) for name, mask in batch.observed.items()}
    observed["protein"][4:] = False
    made = compute(PatientBatch(batch.values, observed, {}, {}), least=5)
    clinical, rna, protein, imaging = made["absolute"][:, :4].T
    assert clinical.any()
    assert rna.any()
    assert imaging.any()
    assert not protein.any()
    assert not made["signed"][:, 2].any()
    assert made["absolute"][:, 4:6].any()
    assert not made["absolute"][:, 6:].any()
    batch.values["rna"][2:, :5] = 0  # as of mutations that four patients do not have
    made = compute(PatientBatch(batch.values, observed, {}, {}), least=5)
    assert not made["absolute"][:, 4].any()
    assert made["absolute"][:, 5].any()


def test_the_member_names_modalities_and_pathways_with_their_patients(
    compute: Callable[..., Arrays], agreed: Federation, make_network: MakeNetwork, whole: PatientBatch
) -> None:
    sites = {f"hospital {number}": SiteSums(6, compute(whole)) for number in range(2)}
    content = PART.content(agreed, sites)
    assert content is not None
    network = replace(make_network(), federation=agreed)
    table = ExplanationTable.read(named(content, network))
    assert table is not None
    assert (table.hospitals, table.patients, table.limit) == (2, 12, LIMIT)
    assert [(outcome.task, outcome.outcome) for outcome in table.outcomes] == [
        ("survival", ""),
        ("response", "no"),
        ("response", "partial"),
        ("response", "yes"),
        ("toxicity", "rash"),
        ("toxicity", "nausea"),
    ]
    survival = table.outcomes[0]
    assert survival.interval == 3
    assert {part.modality: part.patients for part in survival.modalities} == dict.fromkeys(
        ("clinical", "rna", "protein", "imaging"), 12
    )
    assert {(part.modality, part.pathway) for part in survival.pathways} == {
        ("rna", "alpha"),
        ("rna", "beta"),
    }
    assert survival.pathways[0].absolute >= survival.pathways[1].absolute
    cuts = network.preprocessing.cuts["survival"]  # type: ignore[attr-defined]
    horizons = {"survival": (float(cuts[2]),), "response": (), "toxicity": ()}
    alone = [explain(network, whole.select(torch.tensor([row])), horizons)[0] for row in range(6)]
    for part in survival.modalities:
        expected = np.mean([np.clip(one.modalities[part.modality], -LIMIT, LIMIT) for one in alone])
        assert part.signed == pytest.approx(expected)
    assert "alpha" in table.lines()[0]


def test_without_sums_there_is_no_member(agreed: Federation) -> None:
    empty = {name: np.zeros(limit.shape) for name, limit in PART.sums(agreed, 0).items()}
    assert PART.content(agreed, {"one": SiteSums(8, empty)}) is None
    assert PART.content(agreed, {}) is None
