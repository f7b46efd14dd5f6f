import math
from statistics import pstdev

import pytest

from server.aggregation.scores import (
    SiteFigures,
    concordance,
    known_metrics,
    training_loss,
    validation_error,
    validation_loss,
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


def test_the_standard_error_is_that_of_all_sites_patients_together() -> None:
    losses = {"a": [0.5, 1.0, 2.5], "b": [3.0, 1.5]}
    sites = {
        site: {
            "validation_loss": sum(values),
            "validation_squares": sum(value**2 for value in values),
            "validation_patients": float(len(values)),
        }
        for site, values in losses.items()
    }
    together = [value for values in losses.values() for value in values]
    assert validation_error(figures(sites)) == pytest.approx(pstdev(together) / len(together) ** 0.5)
    assert validation_error({}) is None
    huge = {"validation_loss": HUGE, "validation_squares": HUGE, "validation_patients": 1.0}
    assert validation_error(figures({"a": huge, "b": huge})) is None
