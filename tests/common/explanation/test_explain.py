"""Explanations of real small networks add up, and say what they cannot say."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from common.explanation.explain import explain
from common.explanation.explanation import Explanation
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch
from common.prediction.network import Network

MakeNetwork = Callable[..., Network]

HORIZONS: dict[str, tuple[float, ...]] = {"survival": (3.0,), "response": (), "toxicity": ()}


def one(batch: PatientBatch, row: int) -> PatientBatch:
    return batch.select(torch.tensor([row]))


def all_of(network: Network, batch: PatientBatch) -> Iterator[Explanation]:
    for row in range(len(batch)):
        yield from explain(network, one(batch, row), HORIZONS)


def label(network: Network, batch: PatientBatch, name: str) -> float:
    """Logit of an adverse event."""
    federation: Any = network.federation
    with torch.no_grad():
        return float(network.model(batch)["toxicity"][0, federation.tasks[2].labels.index(name)])


def test_contributions_of_every_task_add_up_to_the_difference_from_the_mean_patient(
    make_network: MakeNetwork, make_batch: Callable[..., PatientBatch], whole: PatientBatch
) -> None:
    network, converged = make_network(), []
    for batch in (whole, make_batch()):
        made = list(all_of(network, batch))
        assert [explanation.task for explanation in made[:3]] == ["survival", "response", "toxicity"]
        for explanation in made:
            difference = explanation.patient - explanation.mean
            total = sum(explanation.modalities.values())
            assert explanation.gap == pytest.approx(total - difference)
            small = abs(explanation.gap) <= max(0.01 * abs(difference), 0.001)
            assert explanation.converged is small
            assert abs(explanation.gap) < 0.02
            converged.append(small)
            listed = sum(reason.contribution for reason in (*explanation.higher, *explanation.lower))
            assert listed + explanation.rest == pytest.approx(total)
            assert len(explanation.higher) + len(explanation.lower) <= 10
            assert Explanation.model_validate_json(explanation.model_dump_json()) == explanation
    assert sum(converged) > 0.9 * len(converged)


def test_a_linear_network_is_explained_exactly(make_network: MakeNetwork, whole: PatientBatch) -> None:
    network = make_network(linear=True)
    model: Any = network.model
    federation: Any = network.federation
    for row in range(len(whole)):
        patient = one(whole, row)
        toxicity = explain(network, patient, HORIZONS)[2]
        index = federation.tasks[2].labels.index(toxicity.outcome)
        for reason in (*toxicity.higher, *toxicity.lower):
            branch, values = model.branches[reason.modality], patient.values[reason.modality][0]
            weight = branch.scores["toxicity"].weight[index].detach() * branch.score_scale
            nodes = federation.modality(reason.modality).nodes
            of = [number for number, node in enumerate(nodes) if node.partition("=")[0] == reason.column]
            expected = sum(float(weight[number] * values[number]) for number in of)
            assert reason.contribution == pytest.approx(expected, rel=1e-4, abs=1e-6)
            assert reason.linear == pytest.approx(reason.contribution)
        assert toxicity.linear == pytest.approx(toxicity.patient - toxicity.mean, rel=1e-4)
        assert toxicity.edges is None


def test_the_network_adds_to_the_linear_part(make_network: MakeNetwork, whole: PatientBatch) -> None:
    plain = explain(make_network(linear=True), one(whole, 0), HORIZONS)[2]
    mixed = explain(make_network(), one(whole, 0), HORIZONS)[2]
    assert plain.outcome == mixed.outcome
    assert mixed.linear == pytest.approx(plain.linear)
    assert mixed.linear != pytest.approx(mixed.patient - mixed.mean, rel=0.05)


def test_levels_of_a_category_are_one_line_and_missing_values_none(
    make_network: MakeNetwork, whole: PatientBatch
) -> None:
    observed = {name: mask & (name == "clinical") for name, mask in whole.observed.items()}
    few = PatientBatch({n: v * observed[n] for n, v in whole.values.items()}, observed, {}, {})
    for explanation in all_of(make_network(), few):
        reasons = {reason.column: reason for reason in (*explanation.higher, *explanation.lower)}
        assert reasons.keys() == {"age", "sex"}
        assert (reasons["sex"].value, reasons["sex"].deviations) == ("m", None)
        assert explanation.absent == {}
        assert explanation.modalities.keys() == {"clinical"}


def test_an_absent_modality_is_a_figure_beside_the_values(
    make_network: MakeNetwork, whole: PatientBatch
) -> None:
    network, patient = make_network(), one(whole, 3)
    toxicity = explain(network, patient, HORIZONS)[2]
    assert toxicity.absent.keys() == {"clinical", "rna", "protein", "imaging"}
    for name, change in toxicity.absent.items():
        values, observed = dict(patient.values), dict(patient.observed)
        values[name], observed[name] = 0 * values[name], torch.zeros_like(observed[name])
        without = label(network, PatientBatch(values, observed, {}, {}), toxicity.outcome)
        assert change == pytest.approx(without - label(network, patient, toxicity.outcome), abs=1e-5)
        assert change != pytest.approx(-toxicity.modalities[name], abs=1e-4)


def test_edges_are_mentioned_only_where_enough_passes_through_them(
    make_network: MakeNetwork, whole: PatientBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network()
    shares = [explanation.edges for explanation in all_of(network, whole)]
    assert all(share is None or share >= 0.05 for share in shares)
    assert any(share is not None for share in shares)
    monkeypatch.setattr("common.explanation.explain.LEAST_BY_EDGES", float("inf"))
    assert all(explanation.edges is None for explanation in all_of(network, whole))


def test_pathways_are_sums_of_their_members_beside_their_occlusion(
    make_network: MakeNetwork, whole: PatientBatch
) -> None:
    network, patient = make_network(), one(whole, 1)
    toxicity = explain(network, patient, HORIZONS)[2]
    reasons = {reason.pathway: reason for reason in (*toxicity.pathways_higher, *toxicity.pathways_lower)}
    assert {name: reason.measured for name, reason in reasons.items()} == {"alpha": 5, "beta": 5}
    for pathway, members in (("alpha", slice(0, 5)), ("beta", slice(4, 9))):
        values = {name: part.clone() for name, part in patient.values.items()}
        values["rna"][:, members] = 0
        mean = label(network, PatientBatch(values, patient.observed, {}, {}), toxicity.outcome)
        lost = label(network, patient, toxicity.outcome) - mean
        assert reasons[pathway].occluded == pytest.approx(lost, abs=1e-5)
    assert explain(replace(network, public=None), patient, HORIZONS)[2].pathways_higher == ()


def test_an_integral_that_does_not_converge_says_so(
    make_network: MakeNetwork, whole: PatientBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.explanation.path.TOLERANCE", 0.0)
    monkeypatch.setattr("common.explanation.patient.SMALLEST_TOLERANCE", 0.0)
    made = explain(make_network(), one(whole, 0), HORIZONS)[1]
    assert not made.converged
    assert made.gap != 0
    assert any("did not converge" in line for line in made.lines())


def test_a_model_without_parts_is_explained_without_a_linear_part(
    make_network: MakeNetwork, whole: PatientBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_network()
    monkeypatch.setattr(type(network.model), "parts", SharedModel.parts)
    for made in explain(network, one(whole, 0), HORIZONS):
        assert made.converged
        assert (made.linear, made.edges) == (None, None)


def test_an_ensemble_is_explained_by_the_mean_of_its_members(
    make_network: MakeNetwork, whole: PatientBatch
) -> None:
    members = [make_network(), make_network(linear=True), make_network(seed=2)]
    ensemble, patient = replace(members[0], others=tuple(members[1:])), one(whole, 2)
    for number, made in enumerate(explain(ensemble, patient, HORIZONS)):
        alone = [explain(member, patient, HORIZONS)[number] for member in members]
        if {of.outcome for of in alone} != {made.outcome}:
            continue
        for name in ("patient", "mean", "gap"):
            expected = sum(getattr(of, name) for of in alone) / 3
            assert getattr(made, name) == pytest.approx(expected, abs=1e-5)
        for name, total in made.modalities.items():
            assert total == pytest.approx(sum(of.modalities[name] for of in alone) / 3)
            assert made.absent[name] == pytest.approx(sum(of.absent[name] for of in alone) / 3, abs=1e-5)
        assert made.agreement is not None
        assert made.agreement.models == 3
        assert all(of.agreement is None for of in alone)
        assert Explanation.model_validate_json(made.model_dump_json()) == made
        assert made.agreement.line() in "\n".join(made.lines())
        assert "not known" in "\n".join(alone[0].lines())


def test_sums_over_patients_hear_of_every_attribution(make_network: MakeNetwork, whole: PatientBatch) -> None:
    heard = []
    made = explain(make_network(), one(whole, 0), HORIZONS, lambda *of: heard.append(of))
    assert [asked[0].task for asked, _ in heard] == [explanation.task for explanation in made]
    for (_, (attribution,)), explanation in zip(heard, made, strict=True):
        assert float(attribution.values["rna"].sum()) == pytest.approx(explanation.modalities["rna"])
