"""A plan costs what was asked for, with the least noise; a file under privacy passes the guarantee's checks."""

from collections.abc import Callable

import pytest

from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.patients.guarantee import check_agreement
from common.privacy.accounting import Release, spend
from common.privacy.planning import plan_noise, planned_releases, with_privacy

TERMS = Privacy(noise_multiplier=1.5, sampling_rate=1.0, expected_batch_size=8.0, steps=3, delta=1e-3)
NOISED = TERMS.model_copy(update={"statistics": "noised", "statistics_noise_multiplier": 20.0})


@pytest.mark.parametrize(
    ("terms", "statistics"),
    [
        (TERMS, []),
        (TERMS.model_copy(update={"statistics": "public"}), []),
        (NOISED, [Release(mechanism="statistics", noise_multiplier=20.0)]),
        (
            TERMS.model_copy(update={"explanations_noise_multiplier": 9.0}),
            [Release(mechanism="explanations", noise_multiplier=9.0)],
        ),
    ],
)
def test_a_run_releases_every_step_of_every_round_and_its_statistics_once(
    terms: Privacy, statistics: list[Release]
) -> None:
    training = Release(mechanism="training", noise_multiplier=1.5, sampling_rate=1.0, steps=15)
    assert [*planned_releases(terms, rounds=5)] == [training, *statistics]


@pytest.mark.parametrize("terms", [TERMS, NOISED], ids=["declared", "noised"])
def test_a_plan_stays_within_its_epsilon_and_wastes_hardly_any_of_it(terms: Privacy) -> None:
    planned = plan_noise(2.0, 2, terms)
    cost = spend(planned_releases(planned, 2), terms.delta).epsilon
    assert 1.98 < cost <= 2.0
    assert planned.model_copy(update={"noise_multiplier": terms.noise_multiplier}) == terms


def test_noise_on_statistics_leaves_less_for_training_and_a_tighter_plan_needs_more() -> None:
    loose, shared, tight = (
        plan_noise(*asked).noise_multiplier for asked in ((2, 2, TERMS), (2, 2, NOISED), (1, 2, TERMS))
    )
    assert loose < shared
    assert loose < tight


def test_statistics_that_cost_more_than_there_is_leave_no_plan() -> None:
    loud = NOISED.model_copy(update={"statistics_noise_multiplier": 0.5})
    with pytest.raises(ValueError):
        plan_noise(1.0, 2, loud)


def test_what_the_guarantee_refuses_is_turned_off_and_nothing_else(
    make_federation: Callable[..., Federation],
) -> None:
    plain = make_federation()
    private = with_privacy(plain, TERMS)
    check_agreement(private)
    assert private.privacy == TERMS
    changed = {
        f"{part}.{name}"
        for part in ("model", "training")
        for name, value in getattr(private, part)
        if value != getattr(getattr(plain, part), name)
    }
    assert changed == {
        *("model.dropout", "model.node_dropout", "model.modality_dropout"),
        "training.learn_task_weights",
    }
    kept = {"model": plain.model, "training": plain.training, "privacy": None}
    assert private.model_copy(update=kept) == plain
    assert plain.privacy is None, "the file that was given stays as it was"


def test_new_terms_take_the_place_of_the_old(make_federation: Callable[..., Federation]) -> None:
    once = with_privacy(make_federation(), TERMS)
    assert with_privacy(once, NOISED).privacy == NOISED
    assert with_privacy(once, TERMS) == once
