"""Nothing that was not approved enters a computation: weights, scaling and seed of a request, changed one by one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from client.site_folder.places import Home
from client.training.local import train
from common.agreement.federation import save
from common.agreement.privacy_settings import Privacy
from common.errors import RefusalCode
from common.messages.exchange import EvaluateReply, ModelRequest, TrainReply
from common.models.registry import build_model
from common.patients.preprocessing import combine, pack_preprocessing
from common.privacy.planning import with_privacy

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6)
UNAPPROVED = RefusalCode.INPUT_UNAPPROVED

pytestmark = pytest.mark.attack


def under(hospital: "Hospital", **terms: Any) -> None:
    hospital.federation = with_privacy(hospital.federation, PRIVACY.model_copy(update=terms))
    save(hospital.federation, hospital.folder / "federation.toml")


def nudged(request: ModelRequest, name: str, by: float) -> ModelRequest:
    weights = {**request.weights, name: request.weights[name] + np.float32(by)}
    return request.model_copy(update={"weights": weights})


def rescaled(request: ModelRequest, name: str, change: Callable[[Any], Any]) -> ModelRequest:
    array = request.preprocessing[name].copy()
    array[0] = change(array[0])
    return request.model_copy(update={"preprocessing": {**request.preprocessing, name: array}})


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_run_begins_with_the_weights_of_the_files_seed(hospital: "Hospital", kind: str) -> None:
    request = hospital.request()
    for name in request.weights:
        assert hospital.refusal(kind, nudged(request, name, 1e-3).to_record()) is UNAPPROVED
    other = build_model(hospital.federation, hospital.folder, 1).state_dict()
    drawn = request.model_copy(update={"weights": {name: tensor.numpy() for name, tensor in other.items()}})
    assert hospital.refusal(kind, drawn.to_record()) is UNAPPROVED
    hospital.ask(kind, request.to_record())


def test_later_weights_lie_where_training_leads(hospital: "Hospital") -> None:
    request = hospital.request(round=2)
    assert hospital.refusal("train", nudged(request, "patient.bias", 1e6).to_record()) is UNAPPROVED
    TrainReply.from_record(hospital.ask("train", nudged(request, "patient.bias", 1e-3).to_record()))


def test_the_weights_of_a_run_do_not_jump(hospital: "Hospital") -> None:
    """A round of nine patients and of those who are declared, at most 12, moves no weight by more than 0.004."""
    participant = hospital.federation.participants[0].model_copy(update={"patients": 12})
    hospital.federation = hospital.federation.model_copy(update={"participants": (participant,)})
    save(hospital.federation, hospital.folder / "federation.toml")
    late = hospital.request(round=20)
    TrainReply.from_record(hospital.ask("train", nudged(late, "patient.bias", 0.02).to_record()))
    later = late.model_copy(update={"round": 21})
    back = nudged(later, "patient.bias", -0.02)
    assert hospital.refusal("train", back.to_record(), same_run=True) is UNAPPROVED
    near = nudged(later, "patient.bias", 0.019)
    TrainReply.from_record(hospital.ask("train", near.to_record()))


def test_the_last_weights_are_this_users_alone(hospital: "Hospital") -> None:
    hospital.train()
    (path,) = Home(hospital.folder).asked.iterdir()
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("learn", ["linear", "all"])
def test_what_nobody_trains_privately_is_the_initial_model(hospital: "Hospital", learn: str) -> None:
    under(hospital, learn=learn)
    request = hospital.request(round=2)
    groups = build_model(hospital.federation, hospital.folder, 0).groups()
    for name in request.weights:
        trained = learn == "all" or name in groups.linear
        asked = nudged(request, name, 1e-3).to_record()
        if not trained:
            assert hospital.refusal("train", asked) is UNAPPROVED
            assert hospital.refusal("evaluate", asked) is UNAPPROVED
        elif name == "heads.survival.bias":
            TrainReply.from_record(hospital.ask("train", asked))
    assert hospital.refusal("train", nudged(request, "heads.survival.bias", 1e6).to_record()) is UNAPPROVED


def test_a_last_bit_of_what_is_not_trained_changes_nothing(
    hospital: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another processor may round so; the hospital computes with its own."""
    under(hospital)
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(
        "client.rounds.train.train_privately",
        lambda model, *_: seen.append(model.state_dict()["patient.weight"].clone()),
    )
    request = hospital.request()
    weights = {**request.weights}
    weights["patient.weight"] = np.nextafter(weights["patient.weight"], np.float32(1))
    reply = hospital.ask("train", request.model_copy(update={"weights": weights}).to_record())
    np.testing.assert_array_equal(seen[0].numpy(), request.weights["patient.weight"])
    np.testing.assert_array_equal(
        TrainReply.from_record(reply).weights["patient.weight"], weights["patient.weight"]
    )


def test_declared_scaling_is_the_files_to_the_bit(hospital: "Hospital") -> None:
    under(hospital)
    request = hospital.request()
    for name, array in request.preprocessing.items():
        for change in (lambda value: np.nextafter(value, np.float32(1e9)), lambda _: 1e-30):
            if len(array):
                asked = rescaled(request, name, change).to_record()
                assert hospital.refusal("train", asked) is UNAPPROVED
    hospital.ask("train", request.to_record())


WILD = {
    "a threshold": ("spread:clinical", lambda _: 1e-30),
    "a sharp edge": ("spread:clinical", lambda spread: spread / 100),
    "a constant": ("spread:clinical", lambda _: 1e30),
    "a center outside": ("center:clinical", lambda _: -1e30),
    "a center beyond the range": ("center:clinical", lambda _: 121.0),
    "an edge of expression": ("spread:rna", lambda _: 1e-3),
    "a negative spread": ("spread:clinical", lambda spread: -spread),
    "a time": ("cuts:survival", lambda _: 0.5e-6),
}


@pytest.mark.parametrize("kind", ["train", "evaluate"])
@pytest.mark.parametrize("case", WILD)
def test_scaling_that_no_honest_sums_give_is_refused(hospital: "Hospital", case: str, kind: str) -> None:
    name, change = WILD[case]
    participant = hospital.federation.participants[0].model_copy(update={"patients": 12})
    hospital.federation = hospital.federation.model_copy(update={"participants": (participant,)})
    save(hospital.federation, hospital.folder / "federation.toml")
    request = hospital.request()
    assert hospital.refusal(kind, rescaled(request, name, change).to_record()) is UNAPPROVED
    hospital.ask(kind, request.to_record())


def test_hazard_intervals_do_not_close_in_on_a_time(hospital: "Hospital") -> None:
    request = hospital.request()
    cuts = request.preprocessing["cuts:survival"]
    around = (7.0 + 1e-3 * np.arange(len(cuts))).astype(np.float32)
    one = cuts.copy()
    one[3] = (one[2] + one[4]) / 2.5
    for crafted in (around, one):
        prepared = {**request.preprocessing, "cuts:survival": crafted}
        asked = request.model_copy(update={"preprocessing": prepared}).to_record()
        assert hospital.refusal("train", asked) is UNAPPROVED


def test_scaling_changes_no_more_once_a_run_has_begun(hospital: "Hospital") -> None:
    request = hospital.request()
    hospital.ask("train", request.to_record())
    later = request.model_copy(update={"round": 2})
    moved = rescaled(later, "center:clinical", lambda center: center * 1.01).to_record()
    assert hospital.refusal("train", moved, same_run=True) is UNAPPROVED
    hospital.ask("train", later.to_record(), same_run=True)


def test_no_request_is_computed_twice(hospital: "Hospital", monkeypatch: pytest.MonkeyPatch) -> None:
    computed = 0

    def counting(*arguments: Any) -> float:
        nonlocal computed
        computed += 1
        return train(*arguments)

    monkeypatch.setattr("client.rounds.train.train", counting)
    hospital.site.site["policy"] = {"maximum_runs": 1}
    hospital.write()
    request = hospital.request().to_record()
    first = hospital.ask("train", request, same_run=True)
    TrainReply.from_record(first)
    assert hospital.ask("train", request, same_run=True).object_id == first.object_id
    hospital.begin_run()
    assert hospital.refusal("train", request, same_run=True) is RefusalCode.DECLINED_RUNS
    assert hospital.refusal("evaluate", request, same_run=True) is RefusalCode.DECLINED_RUNS
    assert computed == 1


def test_sums_of_this_hospital_alone_are_plausible_to_itself(hospital: "Hospital") -> None:
    statistics = hospital.statistics().statistics
    request = hospital.request(preprocessing=pack_preprocessing(combine([statistics], hospital.federation)))
    EvaluateReply.from_record(hospital.ask("evaluate", request.to_record()))
