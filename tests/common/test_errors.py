import re

import pytest

from common.errors import REFUSALS, InputError, Refusal, RefusalCode


def test_an_input_error_is_one_sentence_of_place_problem_and_remedy() -> None:
    error = InputError("clinical.csv, column age", "is missing", "add it")
    assert str(error) == "clinical.csv, column age: is missing; add it."
    assert (error.where, error.what, error.remedy) == ("clinical.csv, column age", "is missing", "add it")


@pytest.mark.parametrize("code", RefusalCode)
def test_every_code_has_a_sentence_and_travels_as_a_plain_word(code: RefusalCode) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.value)
    assert re.fullmatch(r"[A-Z][^.\n]+\.", REFUSALS[code])
    assert str(Refusal(code)) == REFUSALS[code]
    assert Refusal(code).code is code


def test_codes_and_sentences_are_different_from_one_another() -> None:
    assert len({code.value for code in RefusalCode}) == len(set(REFUSALS.values())) == len(REFUSALS)


def test_a_refusal_keeps_its_cause_for_the_sites_log_and_out_of_its_text() -> None:
    with pytest.raises(Refusal) as raised:
        raise Refusal(RefusalCode.INTERNAL) from ValueError("patient 4711")
    assert isinstance(raised.value.__cause__, ValueError)
    assert "4711" not in str(raised.value)
    assert "4711" not in repr(raised.value)
