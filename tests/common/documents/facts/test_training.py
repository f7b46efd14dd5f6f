from dataclasses import replace

import pytest

from common.documents.facts.fact import Topic
from common.documents.facts.training import training_facts
from common.release.card import CardMember
from tests.common.documents.conftest import Released
from tests.common.documents.facts.test_origin import PRIVACY


def test_differential_privacy_is_told_with_its_constants(released: Released) -> None:
    with_privacy = training_facts(released({"privacy": PRIVACY}))
    without = training_facts(released())
    assert with_privacy[Topic.PRIVACY].data["differential_privacy"]["noise_multiplier"] == 1.0
    assert without[Topic.PRIVACY].data == {"differential_privacy": None, "loss_noise": 2.0}
    assert "AdamW" in without[Topic.TRAINING].text
    assert "AdamW" not in with_privacy[Topic.TRAINING].text


def test_the_other_trainings_of_an_ensemble_are_named(released: Released) -> None:
    other = CardMember(run="second", seed=1, ended="2026-11-21T11:15:00+00:00", rounds=3, kept_round=2)
    release = released()
    card = release.card.model_copy(update={"others": (other,)})
    assert "second, seed 1" in training_facts(replace(release, card=card))[Topic.TRAINING].text


@pytest.mark.parametrize(("kept", "is_linear"), [(2, True), (3, False)])
def test_a_model_of_linear_scores_alone_is_called_so(released: Released, kept: int, is_linear: bool) -> None:
    release = released({"training": {"rounds": 3, "linear_rounds": 2}}, kept_round=kept)
    assert ("adds nothing" in training_facts(release)[Topic.TRAINING].text) is is_linear


@pytest.mark.parametrize(("noise", "is_told"), [(0.0, False), (3.5, True)])
def test_noise_on_losses_is_told_where_there_is_any(released: Released, noise: float, is_told: bool) -> None:
    facts = training_facts(released({"statistics": {"loss_noise": noise}}))
    assert (f"{noise:g} times" in facts[Topic.PRIVACY].text) is is_told
