"""Usual horizons are whole years that the model has seen."""

from common.validation.horizons import rounded_down, usual_horizons


def test_horizons_are_years_in_the_unit_of_the_task() -> None:
    assert usual_horizons("months", 70.0) == (12.0, 24.0, 36.0, 60.0)
    assert usual_horizons("days", 800.0) == (365.0, 730.0)
    assert usual_horizons("years", 10.0) == (1.0, 2.0, 3.0, 5.0, 10.0)


def test_a_short_follow_up_has_its_end() -> None:
    assert usual_horizons("months", 7.56789) == (7.567,)
    assert rounded_down(1234.9) == 1234.0
