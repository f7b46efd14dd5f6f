"""Against dp_accounting (Google), closed forms and numerical integration."""

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from dp_accounting import (
    ComposedDpEvent,
    DpEvent,
    GaussianDpEvent,
    NeighboringRelation,
    PoissonSampledDpEvent,
    SelfComposedDpEvent,
)
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.optimize import brentq
from scipy.special import logsumexp
from scipy.stats import norm

from common.privacy.accountants import accountant
from common.privacy.accounting import ORDERS, Release, epsilon_within, noise_for, spend
from tests.attacks.attack_table import AttackRow

RELATION = NeighboringRelation.ADD_OR_REMOVE_ONE
DISCRETISATION = 0.012
"""Excess over the reference that the discretised distributions may have by their stated error of 0.01."""


def training(noise_multiplier: float, sampling_rate: float, steps: int) -> Release:
    return Release(
        mechanism="training", noise_multiplier=noise_multiplier, sampling_rate=sampling_rate, steps=steps
    )


def statistics(noise_multiplier: float) -> Release:
    return Release(mechanism="statistics", noise_multiplier=noise_multiplier)


def event(releases: list[Release]) -> DpEvent:
    return ComposedDpEvent(
        [
            SelfComposedDpEvent(
                PoissonSampledDpEvent(of.sampling_rate, GaussianDpEvent(of.noise_multiplier)), of.steps
            )
            for of in releases
        ]
    )


CASES = [
    ([training(1.0, 1.0, 1)], 1e-3),
    ([training(30.0, 1.0, 100)], 1e-3),
    ([training(1.1, 1 / 7, 700)], 1e-3),
    ([training(4.0, 0.05, 100)], 1e-5),
    ([training(2.0, 0.5, 1)], 1e-2),
    ([training(0.5, 0.5, 3)], 1e-2),
    ([training(1.0, 0.9, 2)], 1e-2),
    ([training(0.6, 0.01, 1000)], 1e-6),
    ([training(20.0, 0.5, 500)], 1e-5),
    ([training(3.0, 0.999, 10)], 1e-3),
    ([training(100.0, 0.1, 10)], 1e-3),
    ([training(1000.0, 1.0, 1)], 1e-3),
    ([training(1.0, 0.001, 10)], 1e-2),
    ([statistics(5.0), training(2.0, 0.1, 30)], 1e-3),
    ([statistics(8.0), training(0.7, 0.02, 50), training(1.5, 0.2, 20)], 1e-4),
    ([training(5.0, 0.3, 5), statistics(5.0), statistics(5.0)], 1e-3),
]


@pytest.mark.parametrize(("releases", "delta"), CASES)
def test_privacy_loss_distributions_agree_with_dp_accounting(releases: list[Release], delta: float) -> None:
    """Its accountant takes the worse of adding and removing a patient."""
    found = spend(releases, delta)
    expected = PLDAccountant(RELATION, 1e-3).compose(event(releases)).get_epsilon(delta)
    assert expected - 1e-3 <= found.prv <= 1.02 * expected + DISCRETISATION
    assert found.epsilon == min(found.rdp, found.prv) >= expected - 1e-3
    assert found.delta == delta


@pytest.mark.parametrize(("releases", "delta"), CASES)
def test_moments_agree_with_dp_accounting(
    releases: list[Release], delta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whole orders: at fractional ones dp_accounting stops at an upper bound, up to 3 % too high in epsilon.

    It also calls 0 what is too small to matter.
    """
    whole = tuple(order for order in ORDERS if float(order).is_integer())
    expected = RdpAccountant(whole, RELATION).compose(event(releases)).get_epsilon(delta)
    fractional_too = spend(releases, delta).rdp
    monkeypatch.setattr("common.privacy.accounting.ORDERS", whole)
    found = spend(releases, delta).rdp
    assert found == pytest.approx(expected, rel=1e-6) or (expected == 0 and found < 0.1)
    assert 0.9 * found <= fractional_too <= found


@pytest.mark.parametrize(("noise", "rate"), [(1.1, 1 / 7), (0.7, 0.02), (0.5, 0.5), (20.0, 0.5), (2.0, 0.95)])
def test_moments_are_the_integrals_they_stand_for(noise: float, rate: float) -> None:
    """Mironov, Talwar & Zhang (2019), equation 4, by the trapezoidal rule; converted after Balle et al. (2020)."""
    x = np.linspace(-40 * noise, 40 * noise + 20, 400_001)
    log_density = norm.logpdf(x, scale=noise)
    log_ratio = np.logaddexp(math.log1p(-rate), math.log(rate) + (2 * x - 1) / (2 * noise**2))
    steps, delta = 3, 1e-3
    epsilons = []
    for order in [order for order in ORDERS if order < 11]:
        moment = (logsumexp(log_density + order * log_ratio) + math.log(x[1] - x[0])) / (order - 1)
        epsilons.append(
            steps * moment + math.log1p(-1 / order) - (math.log(delta) + math.log(order)) / (order - 1)
        )
    releases = [training(noise, rate, steps)]
    best = int(np.argmin(epsilons))
    if best < len(epsilons) - 1:
        assert spend(releases, delta).rdp == pytest.approx(epsilons[best], rel=1e-6)
    else:
        assert spend(releases, delta).rdp <= epsilons[best] * (1 + 1e-6)


@pytest.mark.parametrize(("noise", "steps", "delta"), [(1.0, 1, 1e-3), (5.0, 10, 1e-5), (0.5, 1, 1e-2)])
def test_a_sampling_rate_of_one_is_the_normal_mechanism(noise: float, steps: int, delta: float) -> None:
    """Balle & Wang (2018), theorem 8; steps add like squares of 1 / noise."""
    mu = math.sqrt(steps) / noise

    def excess(epsilon: float) -> float:
        return float(
            norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta
        )

    exact = brentq(excess, 0, 50)
    found = spend([training(noise, 1.0, steps)], delta)
    assert exact <= found.prv <= exact + DISCRETISATION
    assert exact <= found.rdp <= 1.3 * exact + 0.1


def test_releases_add_up_whatever_they_are_called_and_in_whatever_order() -> None:
    parts = [training(2.0, 0.1, 10), statistics(6.0), training(3.0, 0.2, 5), training(2.0, 0.1, 20)]
    whole = spend(parts, 1e-3)
    assert spend(parts[::-1], 1e-3) == whole
    assert spend([training(2.0, 0.1, 30), training(6.0, 1.0, 1), parts[2]], 1e-3) == whole


def test_rounds_cost_more_together_than_the_last_one_alone() -> None:
    assert (
        spend([training(1.5, 0.1, 20)] * 30, 1e-3).epsilon > 3 * spend([training(1.5, 0.1, 20)], 1e-3).epsilon
    )


def test_nothing_costs_nothing_and_is_never_negative() -> None:
    assert spend([], 1e-3).epsilon == 0
    tiny = spend([training(1e4, 0.1, 1)], 1e-2)
    assert tiny.rdp >= 0
    assert tiny.prv >= 0


def test_public_statistics_cost_nothing_and_a_release_without_noise_everything() -> None:
    noised = [training(2.0, 0.1, 10)]
    public = Release(mechanism="public-statistics")
    assert spend([public], 1e-3).epsilon == 0
    assert spend([*noised, public], 1e-3) == spend(noised, 1e-3)
    for bare in (Release(mechanism="without-privacy"), training(0.0, 0.1, 1), statistics(0.0)):
        for releases in ([bare], [*noised, bare]):
            assert spend(releases, 1e-3).epsilon == math.inf
            assert not epsilon_within(releases, 1e-3, 1e9)


@pytest.mark.parametrize(("noise", "rate", "steps"), [(0.05, 0.5, 50), (0.01, 1.0, 1000)])
def test_hardly_any_noise_is_told_at_once(noise: float, rate: float, steps: int) -> None:
    """Discretising such a distribution took 28 seconds and 3 GB."""
    found = spend([training(noise, rate, steps)], 1e-3)
    assert found.prv == math.inf
    assert 1000 < found.epsilon < math.inf
    assert not epsilon_within([training(noise, rate, steps)], 1e-3, 100)


@pytest.mark.parametrize(("releases", "delta"), CASES[::3])
def test_within_agrees_with_spend(releases: list[Release], delta: float) -> None:
    epsilon = spend(releases, delta).epsilon
    assert epsilon_within(releases, delta, epsilon * 1.0001 + 1e-9)
    assert not epsilon_within(releases, delta, epsilon * 0.999 - 1e-9)


PLANS: list[tuple[Callable[[float], list[Release]], float, float]] = [
    (lambda noise: [training(noise, 0.1, 10)], 1.0, 1e-3),
    (lambda noise: [statistics(10.0), training(noise, 1.0, 5)], 2.0, 1e-3),
    (lambda noise: [training(noise, 1.0, 1)], 0.1, 1e-3),
]


@pytest.mark.parametrize(("releases", "epsilon", "delta"), PLANS)
def test_noise_for_is_enough_and_hardly_more(
    releases: Callable[[float], list[Release]], epsilon: float, delta: float
) -> None:
    noise = noise_for(epsilon, delta, releases, tolerance=0.03)
    assert spend(releases(noise), delta).epsilon <= epsilon
    assert spend(releases(0.96 * noise), delta).epsilon > epsilon


@pytest.mark.parametrize(
    ("releases", "epsilon", "delta"),
    [
        (lambda noise: [statistics(1.0), training(noise, 0.1, 1)], 1.0, 1e-3),
        (lambda noise: [training(noise, 1.0, 4)], 1e-9, 1e-5),
    ],
)
def test_noise_for_says_when_no_noise_is_enough(
    releases: Callable[[float], list[Release]], epsilon: float, delta: float
) -> None:
    with pytest.raises(ValueError):
        noise_for(epsilon, delta, releases)


@given(
    noise=st.floats(1.5, 50),
    rate=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    steps=st.integers(1, 20),
    more=st.integers(1, 20),
)
@settings(deadline=None, max_examples=5)
def test_more_steps_or_less_noise_never_cost_less(noise: float, rate: float, steps: int, more: int) -> None:
    few = spend([training(noise, rate, steps)], 1e-3)
    for dearer in (training(noise, rate, steps + more), training(noise / 1.1, rate, steps)):
        found = spend([dearer], 1e-3)
        assert found.rdp >= few.rdp * (1 - 1e-9)
        assert found.prv >= few.prv - 1e-3


@pytest.mark.parametrize(
    "changes", [{"sampling_rate": 0}, {"sampling_rate": 1.1}, {"steps": 0}, {"noise_multiplier": -1}]
)
def test_a_release_that_cannot_be_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Release.model_validate({"mechanism": "training", "noise_multiplier": 1.0} | changes)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("noise", "rate", "steps"), [(300.0, 1.0, 10**6), (10.0, 1.0, 10**4), (1.0, 1e-4, 10**8)]
)
def test_no_number_of_steps_makes_accounting_slow(
    noise: float, rate: float, steps: int, attack_row: AttackRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> float:
        raise AssertionError("the slow accountant was asked")

    monkeypatch.setattr(type(accountant("PRVAccountant")), "get_epsilon", slow)
    began = time.process_time()
    spent = spend(
        [Release(mechanism="training", noise_multiplier=noise, sampling_rate=rate, steps=steps)], 1e-3
    )
    seconds = time.process_time() - began
    attack_row(f"accounting of {steps:,} steps at noise {noise:g}", "< 2 s", f"{seconds:.2f} s")
    assert math.isfinite(spent.epsilon)


def test_hardly_any_noise_is_none() -> None:
    release = Release(mechanism="training", noise_multiplier=1e-300, sampling_rate=0.5)
    assert spend([release], 1e-3).epsilon == math.inf
    assert not epsilon_within([release], 1e-3, 1e9)
