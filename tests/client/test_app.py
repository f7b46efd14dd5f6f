"""The hospital's app on real Flower messages: what it answers, and on which patients."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load

from client.site_folder.places import Home
from client.training.evaluation import evaluate
from client.training.local import train
from common.agreement.federation import Federation, save
from common.agreement.settings import Wire
from common.errors import RefusalCode
from common.messages.compression import flatten, unflatten
from common.messages.exchange import EvaluateReply, StatisticsRequest, TrainReply, UpdateReply
from common.models.registry import model_groups
from common.patients.batch import PatientBatch

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

CANARIES = ("CANARY-8371", "98765")


def test_statistics_are_sums_over_the_training_patients(hospital: "Hospital") -> None:
    reply = hospital.statistics()
    assert (reply.site, reply.patients) == ("north", 9)
    assert {name: array.shape for name, array in reply.moments.items()} == {
        "modality:clinical": (3, 5),
        "modality:rna": (3, 2),
        "survival:survival": (3, 1),
        "rest:survival": (3, 1),
    }
    assert reply.moments["modality:rna"][0].tolist() == [9, 9]


def test_training_sends_back_new_weights_of_the_same_model(hospital: "Hospital") -> None:
    request = hospital.request(round=2)
    reply = TrainReply.from_record(hospital.ask("train", request.to_record()))
    assert (reply.site, reply.round) == ("north", 2)
    assert {name: (array.shape, array.dtype) for name, array in reply.weights.items()} == {
        name: (array.shape, array.dtype) for name, array in request.weights.items()
    }
    assert any((reply.weights[name] != array).any() for name, array in request.weights.items())
    assert set(reply.patients) == {
        group.name for group in model_groups(hospital.federation, reply.weights).groups
    }
    tasks = [task.name for task in hospital.federation.tasks]
    assert set(reply.metrics) == {
        *("training_loss", "validation_loss", "validation_patients"),
        *(f"{part}:{task}" for part in ("concordant", "comparable") for task in tasks),
    }
    assert all(np.isfinite(value) for value in reply.metrics.values())
    assert reply.metrics["validation_patients"] == 3


def test_the_same_request_gives_the_same_weights(hospital: "Hospital") -> None:
    first, again, later = hospital.train(), hospital.train(), hospital.train(round=2)
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, again.weights[name])
    assert first.metrics == again.metrics
    assert any((array != later.weights[name]).any() for name, array in first.weights.items())


def test_evaluation_is_of_the_weights_in_the_request(hospital: "Hospital") -> None:
    hospital.context.node_config["simulated"] = True
    hospital.change(statistics__loss_noise="0")  # three patients' losses drown in noise
    before = hospital.evaluate()
    trained = hospital.train()
    assert hospital.evaluate() == before
    assert {name: trained.metrics[name] for name in before.metrics} == before.metrics
    assert (
        hospital.evaluate(weights=trained.weights, round=2).metrics["validation_loss"]
        != before.metrics["validation_loss"]
    )


def test_validation_patients_never_enter_the_statistics(hospital: "Hospital") -> None:
    """Ages are 50, 51, ...: their sum tells who was counted."""
    hospital.context.node_config["simulated"] = True  # else changed tables were refused
    totals = set()
    for seed in range(8):
        hospital.change(training__seed=str(seed))
        totals.add(float(hospital.statistics().moments["modality:clinical"][1, 0]))
    assert len(totals) > 4
    assert all(50 * 9 < total < 62 * 9 for total in totals)


def test_no_request_can_choose_the_training_patients(
    hospital: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums over many different subsets would give away every patient."""
    trained_on: list[np.ndarray] = []

    def spy(model: Any, batch: PatientBatch, *rest: Any) -> float:
        trained_on.append(batch.values["clinical"][:, 0].numpy())
        return train(model, batch, *rest)

    monkeypatch.setattr("client.rounds.train.train", spy)
    replies = [hospital.train(round=number) for number in (1, 2, 7)]
    for reply, patients in zip(replies, trained_on, strict=True):
        np.testing.assert_array_equal(patients, trained_on[0])
        assert reply.patients == replies[0].patients
    for seed in (1, 7, 2**31 - 1):
        asked = hospital.request(seed=seed).to_record()
        assert hospital.refusal("train", asked) is RefusalCode.INPUT_UNAPPROVED
        assert hospital.refusal("evaluate", asked) is RefusalCode.INPUT_UNAPPROVED
    assert len(trained_on) == 3


def test_held_out_patients_never_enter_the_training_statistics(
    hospital: "Hospital",
    small_federation: Federation,
    site_folder: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    held_out = hospital.statistics(fold=1)
    everyone = hospital.statistics()
    keep = site_folder.outcomes["fold"] != 1
    patients = set(site_folder.outcomes.loc[keep, "patient"])
    for name in ("outcomes", "clinical", "rna"):
        table = getattr(site_folder, name)
        setattr(site_folder, name, table[table["patient"].isin(patients)])
    site_folder.folder = tmp_path_factory.mktemp("others")
    federation = hospital.federation.changed({"minimum_patients": "8"})
    others = type(hospital)(site_folder, federation)
    others.write()
    without = others.statistics()
    assert without.patients == held_out.patients == 6
    for name, array in without.moments.items():
        np.testing.assert_array_equal(array, held_out.moments[name])
        assert (everyone.moments[name] != array).any()


def test_held_out_patients_do_not_matter_to_training_at_all(hospital: "Hospital", site_folder: Any) -> None:
    site_folder.outcomes["died"] = 1  # enough events to place hazard intervals
    hospital.write()
    request = hospital.request(fold=1).to_record()
    before = TrainReply.from_record(hospital.ask("train", request))
    held = site_folder.outcomes["fold"] == 1
    site_folder.outcomes.loc[held, "months"] += 100.0
    site_folder.outcomes.loc[held, "response"] = 1
    site_folder.clinical.loc[held, "age"] = 99.0
    site_folder.rna.loc[held, "G1"] = 77.0
    hospital.write()
    after = TrainReply.from_record(hospital.ask("train", request))
    assert after.metrics == before.metrics
    for name, array in before.weights.items():
        np.testing.assert_array_equal(array, after.weights[name])


def test_a_group_of_few_patients_is_reported_as_none(hospital: "Hospital", site_folder: Any) -> None:
    hospital.federation = hospital.federation.changed({"statistics.minimum_count": "3"})
    save(hospital.federation, site_folder.folder / "federation.toml")
    site_folder.outcomes["died"] = 1  # enough events to place hazard intervals
    site_folder.rna = site_folder.rna.iloc[:2]
    site_folder.outcomes.loc[3:, "response"] = None
    hospital.write()
    request = hospital.request()
    reply = TrainReply.from_record(hospital.ask("train", request.to_record()))
    patients = reply.patients
    groups = model_groups(hospital.federation, reply.weights)
    for name, array in reply.weights.items():
        if not patients[groups[name].name]:
            np.testing.assert_array_equal(array, request.weights[name])  # what they trained stays here
    assert patients["patients"] == 9
    assert patients["branches.rna"] == 0
    assert patients["branches.clinical"] == 9
    assert patients["heads.survival"] == 9
    assert patients["heads.response"] in (0, 3)


def test_sums_over_few_validation_patients_stay_at_the_site(hospital: "Hospital", site_folder: Any) -> None:
    hospital.federation = hospital.federation.changed({"statistics.minimum_count": "4"})
    save(hospital.federation, site_folder.folder / "federation.toml")
    site_folder.outcomes["died"] = 1  # enough events to place hazard intervals
    hospital.write()
    assert set(hospital.train().metrics) == {"training_loss"}  # three patients validate
    asked = hospital.ask("evaluate", hospital.request().to_record())
    assert EvaluateReply.from_record(asked).metrics == {}


def test_the_hospitals_own_minimum_count_holds_where_the_file_has_a_lower_one(
    hospital: "Hospital", site_folder: Any
) -> None:
    """Four patients each are of stages 1, 2 and NA; nine of the twelve train, three validate."""
    hospital.context.node_config["simulated"] = True  # else changed tables were refused
    site_folder.outcomes["died"] = 1  # enough events to place hazard intervals
    hospital.write()
    assert hospital.statistics().moments["modality:clinical"][0, 2:].any()
    site_folder.site["policy"] = {"minimum_count": 4}
    hospital.write()
    sums = hospital.statistics()
    assert not sums.moments["modality:clinical"][:, 2:].any()
    assert sums.withheld["modality:clinical"] == 3
    assert set(hospital.train().metrics) == {"training_loss"}
    site_folder.outcomes.loc[3:, "response"] = None
    hospital.write()
    assert hospital.train().patients["heads.response"] == 0
    site_folder.site["policy"] = {"minimum_count": 10}
    hospital.write()
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    assert hospital.refusal("query.statistics", request) is RefusalCode.NO_TRAINING_PATIENTS


def test_one_patient_of_a_kind_makes_no_pairs(hospital: "Hospital", site_folder: Any) -> None:
    """Three patients validate, of whom one has another response than the two others."""
    hospital.context.node_config["simulated"] = True  # else changed tables were refused
    found = set()
    for seed in range(6):
        hospital.change(training__seed=str(seed), statistics__loss_noise="0")
        metrics = hospital.evaluate().metrics
        assert metrics["validation_patients"] == 3
        found.add(metrics["comparable:response"])
    assert found == {0.0}


@pytest.mark.parametrize(("noise", "least"), [("0", 2), ("2", 0)])
def test_noised_pairs_do_not_depend_on_whether_there_are_enough_events(
    hospital: "Hospital", monkeypatch: pytest.MonkeyPatch, noise: str, least: int
) -> None:
    """Whoever knows all others would see on which side of the minimum count a patient is."""
    asked = list[int]()

    def counting(model: Any, records: Any, round_: Any, fewest: int) -> Any:
        asked.append(fewest)
        return evaluate(model, records, round_, fewest)

    monkeypatch.setattr("client.rounds.evaluate.evaluate", counting)
    hospital.context.node_config["simulated"] = True
    hospital.change(statistics__loss_noise=noise)
    hospital.evaluate()
    assert asked == [least]


WIRES = [Wire(update="float16"), Wire(update="int8"), Wire(update="top-k", share=0.1)]
EVERY_WIRE = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.update)


def agree_on(hospital: "Hospital", wire: Wire) -> None:
    hospital.federation = hospital.federation.model_copy(update={"wire": wire})
    save(hospital.federation, hospital.folder / "federation.toml")


@EVERY_WIRE
def test_an_update_travels_as_agreed_and_what_it_lost_comes_later(hospital: "Hospital", wire: Wire) -> None:
    plain = hospital.train()
    assert not Home(hospital.folder).residual.exists(), "weights themselves lose nothing"
    agree_on(hospital, wire)
    request = hospital.request()
    first = UpdateReply.from_record(hospital.ask("train", request.to_record()))
    before = request.weights
    assert (first.patients, first.metrics) == (plain.patients, plain.metrics)
    wanted = flatten(plain.weights) - flatten(before)
    sent = flatten(first.applied(before, wire).weights) - flatten(before)
    kept = load(Home(hospital.folder).residual.read_bytes())
    assert not kept["before"].any()
    assert kept["after"].any()
    np.testing.assert_allclose(sent + kept["after"], wanted, atol=1e-6)
    hospital.ask("train", request.model_copy(update={"round": 2}).to_record())
    assert (load(Home(hospital.folder).residual.read_bytes())["before"] == kept["after"]).all()


@EVERY_WIRE
def test_nothing_leaves_of_what_few_patients_trained_nor_is_any_of_it_kept(
    hospital: "Hospital", site_folder: Any, wire: Wire
) -> None:
    site_folder.rna = site_folder.rna.iloc[:1]
    hospital.write()
    agree_on(hospital, wire)
    before = hospital.request().weights
    reply = UpdateReply.from_record(hospital.ask("train", hospital.request().to_record()))
    assert reply.patients["branches.rna"] == 0
    after = reply.applied(before, wire).weights
    kept = unflatten(
        load(Home(hospital.folder).residual.read_bytes())["after"],
        {name: array.shape for name, array in before.items()},
    )
    groups = model_groups(hospital.federation, before)
    for name, array in before.items():
        if not reply.patients[groups[name].name]:
            assert after[name].tobytes() == array.tobytes()
            assert not kept[name].any()
    assert any((after[name] != array).any() for name, array in before.items())


def test_no_canary_is_in_an_encoded_update_or_what_is_left_of_it(
    hospital: "Hospital", site_folder: Any, everything_logged: Any
) -> None:
    site_folder.clinical.loc[1, "crp"] = 98765.4321
    hospital.write()
    for wire in WIRES:
        agree_on(hospital, wire)
        assert UpdateReply.from_record(hospital.ask("train", hospital.request().to_record())).update
        hospital.assert_quiet(everything_logged())
        left = Home(hospital.folder).residual.read_bytes()
        assert not any(canary.encode() in left for canary in CANARIES)
