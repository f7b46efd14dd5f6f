import pytest

from common.units.mistakes import PAIRS, hint, mistakes, unit_of


@pytest.mark.parametrize(
    ("unit", "column", "spelled"),
    [
        ("mm", "", "mm"),
        ("Years", "", "years"),
        ("mo", "", "months"),
        ("pounds in six months", "", "pounds"),
        ("points", "size_mm", ""),
        ("", "tumour_size_mm", "mm"),
        ("", "time_months", "months"),
        ("", "m", ""),
        ("", "age", ""),
        ("\u00b5mol/L", "", "umol/l"),
        ("", "vitamin_c", ""),
    ],
)
def test_a_unit_is_read_from_the_file_or_else_from_the_name(unit: str, column: str, spelled: str) -> None:
    assert unit_of(unit, column) == spelled


def test_a_tenth_of_millimetres_is_centimetres_and_twelve_times_years_are_months() -> None:
    assert hint(0.1, "mm") == "cm instead of mm?"
    assert hint(0.11, "", "size_mm") == "cm instead of mm?"
    assert hint(1 / 12, "months") == "years instead of months?"
    assert hint(12.5, "years") == "months instead of years?"


def test_only_units_of_the_column_explain_a_factor() -> None:
    assert hint(0.1, "points") == ""
    assert hint(3.0, "mm") == ""
    assert hint(1.0, "mm") == ""
    assert "or" in hint(10.0)


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_ratio_has_no_explanation(ratio: float) -> None:
    assert mistakes(ratio) == []


def test_every_pair_explains_its_own_factor_in_both_directions() -> None:
    for pair in PAIRS:
        larger, smaller = (unit.partition(" (")[0] for unit in (pair.larger, pair.smaller))
        assert any(mistake.actual == pair.larger for mistake in mistakes(1 / pair.factor, smaller))
        assert any(mistake.actual == pair.smaller for mistake in mistakes(pair.factor, larger))
