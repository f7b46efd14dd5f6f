import math

import pytest

from client.prediction.page.words import (
    direction,
    effect,
    in_a_hundred,
    minus,
    part_measured,
    probability,
    spoken,
)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.0, "0 in 100"),
        (0.004, "under 1 in 100"),
        (0.234, "23 in 100"),
        (0.999, "over 99 in 100"),
        (1.0, "100 in 100"),
    ],
)
def test_no_probability_is_written_as_certain(share: float, words: str) -> None:
    assert in_a_hundred(share) == words


def test_a_share_is_never_rounded_to_nothing_or_to_everything() -> None:
    assert part_measured(0.0) == "not measured"
    assert part_measured(1.0) == "all of it"
    assert "1%" in part_measured(0.001)
    assert "99%" in part_measured(0.9999)


def test_a_value_has_a_direction_and_a_category_has_none() -> None:
    assert direction(None, False) == ""
    assert direction(0.1, False) == "about average"
    assert direction(-2.5, False) == "well below average"
    assert direction(5.0, False) == "far above average"
    assert "end of the model" in direction(8.0, True)


def test_an_effect_is_a_factor_on_a_logarithm_and_else_a_difference() -> None:
    assert effect(math.log(2), "log-odds").endswith("2.00")
    assert effect(-50.0, "log cumulative hazard").startswith("less than")
    assert effect(-1.5, "mmHg") == "\u22121.5 mmHg"
    assert effect(1.5, "") == "+1.5"


def test_probabilities_are_those_of_the_scale() -> None:
    assert probability(math.log(-math.log(0.75)), "log cumulative hazard") == pytest.approx(0.25)
    assert probability(math.log(3), "log-odds") == pytest.approx(0.75)
    assert probability(3.0, "mmHg") is None
    assert probability(1e9, "log cumulative hazard") == 1.0
    assert probability(-1e9, "log-odds") == pytest.approx(0.0)


def test_names_can_break_into_lines() -> None:
    assert spoken("HALLMARK_P53_PATHWAY") == "HALLMARK P53 PATHWAY"


def test_only_the_sign_of_a_number_becomes_a_minus() -> None:
    assert minus("-2.5 g/dl") == "\u22122.5 g/dl"
    assert minus("T-cell") == "T-cell"
    assert minus("-x") == "-x"
