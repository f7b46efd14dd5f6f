from common.pages.charts.shapes import DASHES, MARKS, SIZE, fitted, folded_lines, mark, text, width_of
from common.pages.colours import TONES


def test_a_long_name_keeps_both_ends() -> None:
    name = "Universitätsklinikum Heidelberg, Campus Süd"
    short = fitted(name, 150)
    assert width_of(short) <= 150
    assert short.startswith("Univ")
    assert short.endswith("Süd")
    assert fitted("short", 150) == "short"


def test_a_title_is_folded_between_words() -> None:
    lines = folded_lines("Net benefit of decisions on the event by 36 months", 120, SIZE)
    assert len(lines) > 1
    assert all(width_of(words) <= 120 for words in lines)


def test_names_are_escaped() -> None:
    assert "<b>" not in text(0, 0, "<b>")


def test_series_differ_without_colour() -> None:
    assert len({mark(0, 0, number).partition("fill")[0] for number in range(MARKS)}) == MARKS
    assert len(set(DASHES)) == len(DASHES) >= TONES
