"""A hospital as its apps see it: which patients train, under which terms, and what a request cannot change."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from client.ledger.heads import HEAD_FILE
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site, open_site
from client.rounds.requests import load_weights, requested_preprocessing
from client.rounds.site import Site
from client.site_folder.policy import Limit
from client.training.device import DeviceError
from common.agreement.federation import save
from common.agreement.privacy_settings import Privacy
from common.errors import InputError, InvalidContentError, Refusal, RefusalCode
from common.patients.preprocessing import Preprocessing
from common.privacy.planning import with_privacy
from tests.client.held import cohort_of

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6)


def site_of(hospital: "Hospital") -> Site:
    sources = SiteSources(hospital.folder, hospital.folder / "federation.toml")
    return assemble_site(sources, SharedAgreement(sources.agreement))


def ages(*batches: Any) -> list[float]:
    """The patients of some batches: no two are of the same age."""
    return sorted(age for batch in batches for age in batch.values["clinical"][:, 0].tolist())


@pytest.fixture
def private(hospital: "Hospital") -> "Hospital":
    hospital.federation = with_privacy(hospital.federation, PRIVACY)
    save(hospital.federation, hospital.folder / "federation.toml")
    return hospital


@pytest.mark.parametrize(("fold", "kept"), [(-1, 12), (1, 8)])
def test_every_patient_who_is_not_held_out_trains_or_validates(
    hospital: "Hospital", fold: int, kept: int
) -> None:
    site = site_of(hospital)
    training, validation = site.split_records(fold)
    here = [50.0 + place for place in range(12) if place % 3 != fold]
    assert (len(training) + len(validation), len(validation)) == (kept, kept // 4)
    assert ages(training, validation) == here


@pytest.mark.parametrize("fold", [-1, 1])
def test_without_folds_nobody_can_be_held_out(hospital: "Hospital", fold: int) -> None:
    hospital.site.site.pop("fold")
    hospital.write()
    assert len(ages(*site_of(hospital).split_records(fold))) == 12


def test_the_split_follows_the_agreement_alone(hospital: "Hospital") -> None:
    first, again = (ages(site_of(hospital).split_records(-1)[0]) for _ in range(2))
    assert first == again
    splits = set()
    for seed in range(6):
        hospital.change(training__seed=str(seed))
        splits.add(tuple(ages(site_of(hospital).split_records(-1)[0])))
    assert len(splits) > 3


def test_with_privacy_everybody_trains_and_no_number_is_a_reason_to_refuse(private: "Hospital") -> None:
    training, validation = site_of(private).split_records(-1)
    assert (len(training), len(validation)) == (12, 0)
    private.site.outcomes["fold"] = 1
    private.write()
    training, validation = site_of(private).split_records(1)
    assert (len(training), len(validation)) == (0, 0)


@pytest.mark.parametrize(("left", "least", "refused"), [(1, 1, True), (3, 4, True), (4, 3, False)])
def test_too_few_patients_to_train_on_is_a_refusal(
    hospital: "Hospital", left: int, least: int, refused: bool
) -> None:
    hospital.site.outcomes["fold"] = [0] * left + [1] * (12 - left)
    hospital.write()
    hospital.change(statistics__minimum_count=str(least))
    site = site_of(hospital)
    if not refused:
        assert len(site.split_records(1)[0]) == 3
        return
    with pytest.raises(Refusal) as raised:
        site.split_records(1)
    assert raised.value.code is RefusalCode.NO_TRAINING_PATIENTS


def test_a_modality_is_absent_only_without_a_table(hospital: "Hospital") -> None:
    assert site_of(hospital).absent == frozenset()
    hospital.site.rna = hospital.site.rna.tail(2)
    hospital.write()
    assert site_of(hospital).absent == frozenset(), "it has the table, however few are in it"
    del hospital.site.site["tables"]["rna"]
    hospital.write()
    assert site_of(hospital).absent == {"rna"}


def test_the_terms_are_those_of_the_policy_for_this_cohort(private: "Hospital") -> None:
    private.site.site.pop("fold")
    private.site.site["policy"] = {"minimum_noise_multiplier": 3.0, "maximum_epsilon": 9.0, "delta": 1e-4}
    private.write()
    terms = site_of(private).terms
    assert terms.limit == Limit(9.0, 1e-4)
    assert terms.privacy == PRIVACY.model_copy(update={"noise_multiplier": 3.0})
    private.site.site["policy"] = {"minimum_cohort": 13}
    private.write()
    with pytest.raises(Refusal) as raised:
        _ = site_of(private).terms
    assert raised.value.code is RefusalCode.DECLINED_COHORT


def test_a_demand_for_privacy_does_not_go_with_folds(private: "Hospital") -> None:
    private.site.site["policy"] = {"require_dp": True}
    private.write()
    with pytest.raises(InvalidContentError) as raised:
        site_of(private)
    assert raised.value.where == f"{private.folder / 'site.toml'}, fold"


def test_an_agreement_that_breaks_its_guarantee_is_refused(private: "Hospital") -> None:
    private.change(model__dropout="0.5")
    with pytest.raises(Refusal) as raised:
        site_of(private)
    assert raised.value.code is RefusalCode.GUARANTEE_BROKEN
    assert isinstance(raised.value.__cause__, InputError)


def _nan(weights: dict[str, Any]) -> None:
    weights["patient.bias"] = weights["patient.bias"] * np.float32(np.nan)


def _double(weights: dict[str, Any]) -> None:
    weights["patient.bias"] = weights["patient.bias"].astype(np.float64)


def _fewer(weights: dict[str, Any]) -> None:
    weights.pop("patient.bias")


@pytest.mark.parametrize("spoil", [_nan, _double, _fewer])
def test_weights_that_are_refused_are_not_taken_over_by_half(
    hospital: "Hospital", spoil: Callable[[dict[str, Any]], None]
) -> None:
    site, request = site_of(hospital), hospital.request()
    load_weights(site.model, request.weights)
    before = {name: tensor.clone() for name, tensor in site.model.state_dict().items()}
    weights: dict[str, Any] = {name: array + np.float32(1) for name, array in request.weights.items()}
    spoil(weights)
    with pytest.raises(Refusal) as raised:
        load_weights(site.model, weights)
    assert raised.value.code is RefusalCode.REQUEST_INVALID
    assert all(torch.equal(tensor, before[name]) for name, tensor in site.model.state_dict().items())


def test_weights_are_copied_and_not_shared_with_the_request(hospital: "Hospital") -> None:
    site, request = site_of(hospital), hospital.request()
    before = {name: array.copy() for name, array in request.weights.items()}
    load_weights(site.model, request.weights)
    with torch.no_grad():
        for parameter in site.model.parameters():
            parameter.add_(1)
    assert all((request.weights[name] == array).all() for name, array in before.items())


def test_preprocessing_is_taken_only_for_this_federations_nodes(hospital: "Hospital") -> None:
    site, request = site_of(hospital), hospital.request()
    assert isinstance(requested_preprocessing(request.preprocessing, site.federation), Preprocessing)

    def refused(**changes: Any) -> bool:
        given = {**request.preprocessing, **changes}
        with pytest.raises(Refusal) as raised:
            requested_preprocessing(given, site.federation)
        return raised.value.code is RefusalCode.REQUEST_INVALID

    for array in (np.ones(3, np.float32), np.ones(2, np.float64), np.full(2, np.nan, np.float32)):
        assert refused(**{"center:rna": array})
    assert refused(**{"center:ct": np.ones(2, np.float32)})


def test_a_site_is_opened_once_until_a_file_of_its_changes(hospital: "Hospital") -> None:
    first = open_site(hospital.context)
    assert open_site(hospital.context) is first
    (Path(hospital.folder) / HEAD_FILE).parent.mkdir(exist_ok=True)
    (Path(hospital.folder) / HEAD_FILE).write_text("a release was entered")
    assert open_site(hospital.context) is first
    hospital.site.clinical.loc[3, "age"] = 77.0
    hospital.write()
    changed = open_site(hospital.context)
    assert changed is not first
    assert float(cohort_of(changed).batch.values["clinical"][3, 0]) == 77.0


@pytest.mark.parametrize("lost", ["site.toml", "federation.toml", "clinical.csv"])
def test_a_file_that_is_lost_is_a_refusal_that_keeps_its_cause(hospital: "Hospital", lost: str) -> None:
    (hospital.folder / lost).unlink()
    with pytest.raises(Refusal) as raised:
        open_site(hospital.context)
    assert raised.value.code is RefusalCode.COHORT_INVALID
    assert isinstance(raised.value.__cause__, InputError | OSError)
    assert "clinical" not in str(raised.value)


def test_a_hospital_chooses_where_and_how_it_trains(hospital: "Hospital") -> None:
    hospital.site.site |= {"device": "cpu", "precision": "bfloat16", "deterministic": True}
    hospital.write()
    device = open_site(hospital.context).device
    assert (str(device.torch_device), device.precision, device.deterministic) == ("cpu", "bfloat16", True)


def test_a_simulation_says_where_in_place_of_the_site_file(hospital: "Hospital") -> None:
    hospital.site.site["device"] = "cuda:999"
    hospital.write()
    hospital.context.node_config |= {"device": "cpu", "sharing": 4}
    device = open_site(hospital.context).device
    assert (str(device.torch_device), device.sharing) == ("cpu", 4)


def test_a_device_that_is_not_there_is_a_refusal_that_keeps_its_cause(hospital: "Hospital") -> None:
    hospital.site.site["device"] = "cuda:999"
    hospital.write()
    with pytest.raises(Refusal) as raised:
        open_site(hospital.context)
    assert raised.value.code is RefusalCode.DEVICE_UNAVAILABLE
    cause = raised.value.__cause__
    assert isinstance(cause, DeviceError)
    assert cause.where == f"{hospital.folder / 'site.toml'}, device"
    assert "cuda:999" in cause.what


@pytest.mark.cuda
def test_a_site_trains_on_a_gpu_and_answers_from_the_cpu(hospital: "Hospital", gpu: torch.device) -> None:
    hospital.site.site["device"] = "cuda"
    hospital.write()
    site = open_site(hospital.context)
    assert {own.device for own in site.model.state_dict().values()} == {gpu}
    assert cohort_of(site).batch.device.type == "cpu"
    on_gpu = hospital.train()
    assert hospital.evaluate(weights=on_gpu.weights, round=2).metrics["validation_patients"] > 0
    hospital.context.node_config["device"] = "cpu"
    on_cpu = hospital.train()
    assert on_gpu.patients == on_cpu.patients
    # Losses carry noise, of which a rounding makes another; a gradient of 0 but for rounding steps by its sign.
    steps = 2.2 * hospital.federation.training.learning_rate
    for name, weight in on_cpu.weights.items():
        np.testing.assert_allclose(on_gpu.weights[name], weight, rtol=1e-3, atol=steps)
