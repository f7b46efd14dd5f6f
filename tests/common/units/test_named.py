"""Units: conversions both ways, spellings, and none between different quantities."""

import pytest

from common.units.named import conversion, siblings, unit_named


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("cm", "mm", 2.5, 25.0),
        ("inches", "cm", 2.0, 5.08),
        ("lb", "kg", 150.0, 68.0388555),
        ("years", "months", 2.0, 24.0),
        ("days", "years", 365.25, 1.0),
        ("F", "C", 98.6, 37.0),
        ("g/dl", "g/l", 13.5, 135.0),
        ("percent", "share", 40.0, 0.4),
    ],
)
def test_values_convert_into_the_asked_unit(source: str, target: str, value: float, expected: float) -> None:
    for one, other, start, end in ((source, target, value, expected), (target, source, expected, value)):
        converted = conversion(one, other)
        assert converted is not None
        assert converted[0] * start + converted[1] == pytest.approx(end)


@pytest.mark.parametrize(("source", "target"), [("cm", "kg"), ("cm", ""), ("score", "cm"), ("", "")])
def test_nothing_converts_into_another_quantity(source: str, target: str) -> None:
    assert conversion(source, target) is None


def test_units_are_named_in_several_spellings() -> None:
    assert [unit_named(text) for text in ("Years", "yr", " CM ", "%", "\u03bcm", "cubit")] == [
        "years",
        "years",
        "cm",
        "percent",
        "um",
        None,
    ]
    assert "cm" in siblings("mm")
    assert siblings("cubit") == []
