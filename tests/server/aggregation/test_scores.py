import math

import pytest

from server.aggregation.scores import (
    Losses,
    SiteFigures,
    SiteLoss,
    averaged,
    change,
    concordance,
    known_metrics,
    levelled,
    pooled,
    site_figures,
    site_losses,
    training_loss,
    validation_error,
    validation_loss,
    validation_noise,
)

HUGE = 1.7e308


def figures(sites: dict[str, dict[str, float]]) -> dict[str, SiteFigures]:
    return {site: SiteFigures.of(metrics, ["os", "response"]) for site, metrics in sites.items()}


def test_only_listed_finite_metrics_are_kept() -> None:
    given = {
        "validation_loss": math.nan,
        "validation_patients": 3.0,
        "comparable:os": 2.0,
        "comparable:x": 1.0,
        "a": 1.0,
    }
    assert known_metrics(given, ["os"]) == {"validation_patients": 3.0, "comparable:os": 2.0}


def test_concordance_pools_pairs_and_ignores_impossible_ones() -> None:
    sites = {
        "a": {"concordant:os": 3.0, "comparable:os": 4.0},
        "b": {"concordant:os": 0.0, "comparable:os": 12.0},
        "more concordant than comparable": {"concordant:os": 9.0, "comparable:os": 1.0},
        "negative": {"concordant:os": -2.0, "comparable:os": -1.0},
        "half": {"comparable:os": 50.0},
    }
    assert concordance(figures(sites), ["os", "response"]) == {"os": 3 / 16}


def test_training_loss_weighs_training_patients() -> None:
    sites = {"a": {"training_loss": 1.0}, "b": {"training_loss": 3.0}, "c": {"training_loss": 99.0}, "d": {}}
    assert training_loss(figures(sites), {"a": 30.0, "b": 10.0, "c": 0.0, "d": 5.0}) == pytest.approx(1.5)


def test_no_validation_patients_means_no_loss() -> None:
    assert validation_loss({}) is None
    assert validation_loss(figures({"a": {"validation_loss": 0.0, "validation_patients": 0.0}})) is None


def test_sums_beyond_the_largest_float_are_unknown_and_not_an_error() -> None:
    site = {"validation_loss": HUGE, "validation_patients": 1.0}
    assert validation_loss(figures({"a": site, "b": site})) is None
    many = {"validation_loss": 1.0, "validation_patients": HUGE}
    assert validation_loss(figures({"a": many, "b": site})) is not None
    assert training_loss(figures({"a": {"training_loss": HUGE}}), {"a": 9.0}) is None


def test_errors_of_the_mean_loss_are_those_of_all_sites_together() -> None:
    """A standard deviation equal to the mean, and one draw of noise per site."""
    sites = {
        "a": {"validation_loss": 9.0, "validation_patients": 10.0},
        "b": {"validation_loss": 7.0, "validation_patients": 6.0},
        "c": {"validation_patients": 5.0},
    }
    assert validation_error(figures(sites)) == pytest.approx(1.0 / 4)
    assert validation_noise(figures(sites), 8.0) == pytest.approx(8.0 * 2**0.5 / 16)
    assert validation_error({}) is validation_noise({}, 8.0) is None
    huge = {"validation_loss": HUGE, "validation_patients": 1.0}
    assert validation_error(figures({"a": huge, "b": huge})) is None


def validated(loss: float, patients: float = 10.0) -> dict[str, float]:
    """Metrics of validation patients of a mean loss."""
    return {"validation_loss": loss * patients, "validation_patients": patients}


def test_losses_of_sites_with_their_standard_errors() -> None:
    sites = figures({"a": validated(1.0), "b": {}, "c": {"validation_patients": 3.0}})
    assert site_losses(sites) == {"a": SiteLoss(1.0, 1 / 10**0.5, 10.0)}
    assert site_losses(sites, 8.0)["a"].error == pytest.approx((1 / 10 + 0.64) ** 0.5)


def test_losses_are_averaged_over_the_rounds_that_a_site_told() -> None:
    first, second = (
        {"a": SiteLoss(1.0, 0.2, 10.0)},
        {"a": SiteLoss(3.0, 0.2, 10.0), "b": SiteLoss(5.0, 0.1, 30.0)},
    )
    mean = averaged([first, second])
    assert mean["a"].error == pytest.approx(0.2 / 2**0.5)
    assert (mean["a"].mean, mean["a"].patients, mean["b"]) == (2.0, 10.0, second["b"])
    assert pooled(mean) == pytest.approx((20 + 150) / 40)
    assert pooled({}) is None


def losses_of(*means: float, error: float = 0.1) -> Losses:
    return {str(number): SiteLoss(mean, error, 10.0) for number, mean in enumerate(means)}


def test_a_change_is_the_difference_of_means_where_sites_agree() -> None:
    assert change(losses_of(0.9, 1.1, 2.0), losses_of(1.0, 1.3, 2.05)) == pytest.approx(-0.35 / 3)


@pytest.mark.parametrize("lie", [-1e6, 0.0, 1e6])
def test_a_site_moves_the_change_by_less_than_its_own_error(lie: float) -> None:
    honest = change(losses_of(*[0.9] * 20), losses_of(*[1.0] * 20))
    told = change(losses_of(*[0.9] * 20, lie), losses_of(*[1.0] * 20, 5.0))
    assert told == pytest.approx(honest, abs=2.001 * 0.1 / 21)


def test_sites_that_told_one_of_two_losses_have_no_part_in_the_change() -> None:
    now, before = losses_of(0.9, 0.8, 0.7, 99.0), losses_of(1.0, 0.9, 0.8)
    assert change(now, before) == pytest.approx(-0.1)
    later = {"x": SiteLoss(0.4, 0.1, 10.0)}
    assert change(later, before) == pytest.approx(0.4 - 0.9)


def test_a_wild_loss_does_not_move_the_mean_and_a_noisy_one_stays() -> None:
    honest = {str(number): validated(1.0 + number / 100) for number in range(20)}
    told = levelled(figures(honest | {"liar": validated(9e5)}))
    assert validation_loss(told) == pytest.approx(validation_loss(figures(honest)), abs=0.2)
    assert (validation_error(told) or 9.0) < 2 * (validation_error(figures(honest)) or 0)
    noisy = levelled(figures(honest | {"lucky": validated(4.0)}), 8.0)
    assert noisy == figures(honest | {"lucky": validated(4.0)})


def test_figures_within_reach_stay_as_they_came() -> None:
    sites = figures({"a": validated(0.3), "b": validated(0.4), "c": validated(0.5), "d": validated(1.5)})
    assert levelled(sites) == sites


def test_a_site_of_undeclared_size_weighs_little_more_than_the_median() -> None:
    metrics = {"a": validated(1.0), "b": validated(1.0), "c": validated(4.0, patients=1e6)}
    sites = site_figures(metrics, [], sized=False)
    assert validation_loss(sites) == pytest.approx((10 + 10 + 30 * 4) / 50)
    assert site_figures(metrics, [], sized=True)["c"].patients == 1e6
