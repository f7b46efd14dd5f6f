from client.prediction.page.reasons import SHOWN, reasons_of
from common.explanation.agreement import SeedAgreement
from tests.client.prediction.page.made import column, explanation


def test_a_reason_is_a_value_in_its_unit_with_a_direction_and_an_effect() -> None:
    reasons = reasons_of(explanation())
    age, stage = reasons.higher
    assert (age.name, age.value, age.note) == ("age", "61 years", "above average")
    assert age.effect.endswith("1.49")
    assert (age.share, stage.share) == (1.0, 0.5)
    assert (stage.value, stage.note) == ("III", "")
    assert reasons.lower[0].value == "\u221238 g/l"
    assert reasons.pathways_higher[0].note == "7 values"


def test_no_side_is_longer_than_five_and_no_effect_of_nothing_is_a_reason() -> None:
    many = tuple(column(1.0, column=f"G{number}") for number in range(9))
    reasons = reasons_of(explanation(higher=many, lower=(column(-0.001),)))
    assert (len(reasons.higher), len(reasons.lower)) == (SHOWN, 0)


def test_what_was_not_measured_is_a_probability_of_its_own() -> None:
    reasons = reasons_of(explanation())
    assert reasons.measured == "30 in 100"
    assert [each.words for each in reasons.absences] == ["21 in 100", "33 in 100"]


def test_reasons_that_fail_or_change_with_the_training_are_doubted() -> None:
    assert reasons_of(explanation()).doubts == ()
    other = SeedAgreement(models=3, values=10, in_common=0.4, same_direction=0.8, unstable=True)
    reasons = reasons_of(explanation(converged=False, agreement=other))
    assert len(reasons.doubts) == 2
    assert "40%" in reasons.agreement
    assert reasons_of(explanation()).agreement == ""


def test_a_number_has_differences_and_no_probabilities() -> None:
    reasons = reasons_of(explanation(horizon=None, unit="mmHg", scale="mmHg", task="change"))
    assert (reasons.average, reasons.measured) == ("", "")
    assert reasons.higher[0].effect == "+0.4 mmHg"
    assert [each.words for each in reasons.absences] == ["\u22120.4 mmHg", "+0.1 mmHg"]
