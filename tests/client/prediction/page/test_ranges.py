from client.prediction.page.ranges import (
    between,
    bound_sentence,
    class_sentence,
    label_sentence,
    number_sentence,
)


def test_an_interval_of_one_number_is_written_once() -> None:
    assert between((0.15, 0.34)) == "15 to 34 in 100"
    assert between((0.151, 0.152)) == "15 in 100"
    assert between((0.002, 0.05)) == "under 1 to 5 in 100"


def test_bounds_say_in_how_many_cases_the_event_comes_later() -> None:
    assert bound_sentence({"80%": 60.0, "90%": 41.8}, "months") == (
        "The event comes in 80% of cases later than 60 months, in 90% of cases later than 41.8 months."
    )
    assert bound_sentence({}, "months") == ""


def test_the_set_of_the_largest_share_is_said() -> None:
    classes = ["yes", "no", "stable"]
    assert class_sentence({"80%": ("yes",), "90%": ("yes", "no")}, classes) == (
        "With 90% certainty: \u201cyes\u201d or \u201cno\u201d."
    )
    assert "none of the classes" in class_sentence({"90%": ()}, classes)
    assert "nothing is ruled out" in class_sentence({"90%": ("yes", "no", "stable")}, classes)
    assert class_sentence({}, classes) == ""


def test_a_label_is_expected_or_not_or_open() -> None:
    sentence = label_sentence(
        {"90%": ("skin", "no gut", "blood", "no blood")}, ["skin", "gut", "blood", "eye"]
    )
    assert sentence == "With 90% certainty: expected skin; ruled out gut; open blood, eye."
    assert "nothing is ruled out" in label_sentence({"90%": ("skin", "no skin")}, ["skin"])
    assert label_sentence({}, ["skin"]) == ""


def test_ranges_of_a_number_have_its_unit_and_a_minus() -> None:
    assert number_sentence({"90%": (-10.0, 3.5)}, "mmHg") == (
        "It is in 90% of cases between \u221210 and 3.5 mmHg."
    )
    assert number_sentence({}, "mmHg") == ""
