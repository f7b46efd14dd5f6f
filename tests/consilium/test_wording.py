"""Options of a command as keywords of a call."""

import pytest

from common.errors import InputCode, InputError, OptionError
from common.extras import MissingExtra
from consilium.wording import in_python_words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("--ray-address host:1", "ray_address=host:1"),
        ("--out /a/my --odd folder", "out=/a/my --odd folder"),
        ("--set, model.width", "settings, model.width"),
        ("--hospitals and --patients", "hospitals and patients"),
        ("--resume out", "out=out"),
        ("site.toml, port", "site.toml, port"),
    ],
)
def test_the_place_of_an_error_is_a_keyword(sentence: str, words: str) -> None:
    with pytest.raises(OptionError) as refused, in_python_words():
        raise OptionError(
            sentence, "is wrong", "add --engine serial, such as --epsilon 8, without --rounds first"
        )
    error = refused.value
    assert (error.where, error.code) == (words, InputCode.OPTION_INVALID)
    assert error.remedy == "add engine=serial, such as epsilons=[8], without rounds first"
    assert str(error) == f"{words}: is wrong; {error.remedy}."


def test_a_command_stays_a_command() -> None:
    remedy = "go on by `consilium simulate --resume out`"
    with pytest.raises(InputError) as refused, in_python_words():
        raise OptionError("out", "is there", remedy)
    assert refused.value.remedy == remedy


def test_a_missing_extra_keeps_its_sentence() -> None:
    with pytest.raises(MissingExtra) as refused, in_python_words():
        raise MissingExtra("ray", "--engine ray")
    assert str(refused.value).startswith("engine=ray needs the extra ray: ")
