"""Terms for a target epsilon, and what ledgers say a run cost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from client.ledger.ledger import Ledger
from client.site_folder.policy import Limit
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.errors import GuaranteeError, InputError
from common.privacy.accounting import Release, spend
from common.privacy.planning import plan_noise, planned_releases
from simulations.experiment.linear_arm import with_linear_rounds
from simulations.experiment.private_arms import Target, notes, settled, spent

MakeFederation = Callable[..., Federation]
OWN = Privacy(
    noise_multiplier=4.0, clip_norm=0.5, sampling_rate=0.5, expected_batch_size=32.0, steps=3, delta=1e-4
)


def test_without_an_epsilon_only_settings_change(federation: Federation) -> None:
    assert settled(federation, {"training.linear_rounds": "0"}, (), None)[0].linear_rounds == 0
    assert settled(federation, {}, (), None) == (with_linear_rounds(federation), ())
    changed, targets = settled(federation, {"training.rounds": "7"}, (), None)
    assert (changed.training.rounds, changed.privacy, targets) == (7, None, ())


def test_a_federation_without_privacy_gets_default_terms_and_the_least_noise(federation: Federation) -> None:
    rest, targets = settled(federation, {"training.rounds": "5"}, (8.0, 1.0, 8.0), None)
    assert rest == with_linear_rounds(federation.changed({"training.rounds": "5"}))
    assert [target.epsilon for target in targets] == [8.0, 1.0]
    for target in targets:
        assert not target.declared
        assert (target.privacy.sampling_rate, target.privacy.delta) == (1.0, 1e-3)
        assert spend(planned_releases(target.privacy, 5), 1e-3).epsilon <= target.epsilon
        less = target.privacy.model_copy(update={"noise_multiplier": 0.99 * target.privacy.noise_multiplier})
        assert spend(planned_releases(less, 5), 1e-3).epsilon > target.epsilon
        assert isinstance(target.federation, Federation)
        assert HierarchicalConfig.of(target.federation.model).dropout == 0
        assert not target.federation.training.learn_task_weights


def test_the_federations_own_terms_are_the_proposal_and_settings_change_them(
    make_federation: MakeFederation,
) -> None:
    federation = make_federation(privacy=OWN)
    settings = {"privacy.clip_norm": "2", "privacy.learn": "all"}
    rest, (target,) = settled(federation, settings, (3.0,), 0.01)
    assert rest.privacy is None
    expected = OWN.model_copy(update={"clip_norm": 2.0, "learn": "all", "delta": 0.01})
    assert target.privacy == plan_noise(3.0, federation.training.rounds, expected)
    assert target.declared
    assert target.sized([1000]) is target


@pytest.mark.parametrize(
    ("sizes", "rate", "expected"),
    [([100, 148], "1", 120.0), ([9, 11], "1", 10.0), ([1, 2], "1", 10.0), ([400, 400], "0.25", 100.0)],
)
def test_the_expected_batch_size_is_the_mean_hospital_in_tens(
    federation: Federation, sizes: list[int], rate: str, expected: float
) -> None:
    _, (target,) = settled(federation, {"privacy.sampling_rate": rate}, (8.0,), None)
    assert target.sized(sizes).privacy.expected_batch_size == expected
    _, (given,) = settled(federation, {"privacy.expected_batch_size": "55"}, (8.0,), None)
    assert given.sized(sizes).privacy.expected_batch_size == 55


@pytest.mark.parametrize(
    ("settings", "epsilons", "delta", "where"),
    [
        ({}, (), 1e-3, "--delta"),
        ({}, (0.0,), None, "--epsilon 0"),
        ({}, (8.0, -1.0), None, "--epsilon -1"),
        ({}, (float("inf"),), None, "--epsilon inf"),
        ({}, (float("nan"),), None, "--epsilon nan"),
        ({}, (8.0,), 0.0, "--delta 0"),
        ({}, (8.0,), 1.0, "--delta 1"),
        ({}, (8.0,), float("nan"), "--delta nan"),
        ({"privacy.noise_multiplier": "2"}, (8.0,), None, "--set privacy.noise_multiplier"),
        ({"privacy.steps": "0"}, (8.0,), None, "--set, privacy.steps"),
        ({"privacy.colour": "blue"}, (8.0,), None, "--set privacy.colour"),
        ({"privacy.steps": "2"}, (), None, "--set privacy.steps"),
        (
            {"privacy.statistics": "noised", "privacy.statistics_noise_multiplier": "0.1"},
            (0.5,),
            None,
            "--epsilon 0.5",
        ),
        ({"privacy.statistics": "noised"}, (8.0,), None, "modalities.0.ranges"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_option(
    federation: Federation,
    settings: dict[str, str],
    epsilons: tuple[float, ...],
    delta: float | None,
    where: str,
) -> None:
    with pytest.raises(InputError) as raised:
        settled(federation, settings, epsilons, delta)
    assert raised.value.where.startswith(where)
    assert "\n" not in str(raised.value)


def test_a_federation_whose_settings_break_its_own_privacy_is_refused(
    make_federation: MakeFederation,
) -> None:
    with pytest.raises(GuaranteeError) as raised:
        settled(make_federation(privacy=OWN), {}, (), None)
    assert raised.value.where == "model.dropout"


def test_a_delta_of_one_patient_or_more_is_called_weak() -> None:
    hospitals = {"north": 400, "south": 50}
    assert notes(OWN.model_copy(update={"delta": 0.019}), True, hospitals) == []
    (said,) = notes(OWN.model_copy(update={"delta": 0.02}), True, hospitals)
    assert all(fact in said for fact in ("0.02", "south", "50 patients"))
    (said,) = notes(OWN, False, hospitals)
    assert " 32," in said


def test_spent_is_what_the_ledger_of_the_hospital_that_spent_most_says(tmp_path: Path) -> None:
    sites = [tmp_path / name for name in ("one", "two", "silent")]
    release = Release(mechanism="training", noise_multiplier=3.0, sampling_rate=0.5, steps=2)
    for rounds, site in zip((1, 2, 0), sites, strict=True):
        site.mkdir()
        for number in range(1, rounds + 1):
            with Ledger(site) as ledger:
                ledger.commit(ledger.reserve("run", number, [release], Limit(None, 1e-3)))
    assert spent(sites, 1e-3) == spend([release, release], 1e-3).epsilon
    assert spent(sites[2:], 1e-3) == 0
    assert not (tmp_path / "silent" / "ledger").exists()


def test_targets_have_folders_of_their_own(federation: Federation) -> None:
    close = [Target(epsilon, federation, True).folder for epsilon in (1.0, 1.0000001)]
    assert len({*close}) == 2
