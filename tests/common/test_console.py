import errno
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from common.console import BAD_INPUT, explained
from common.errors import REFUSALS, REMEDIES, InputError, Refusal, RefusalCode


def ended(error: BaseException) -> tuple[int, str]:
    """Exit code and standard error of a command that raises."""
    app = typer.Typer()

    @app.command()
    @explained
    def command() -> None:
        raise error

    result = CliRunner().invoke(app)
    return result.exit_code, result.stderr


def test_bad_input_is_its_sentence() -> None:
    told = ended(InputError("site.toml, name", "is empty", "name the hospital"))
    assert told == (BAD_INPUT, "consilium: site.toml, name: is empty; name the hospital.\n")


@pytest.mark.parametrize("code", RefusalCode)
def test_every_refusal_is_one_sentence_with_a_remedy(code: RefusalCode) -> None:
    status, told = ended(Refusal(code))
    assert status == BAD_INPUT
    reason = REFUSALS[code].removesuffix(".")
    assert told == f"consilium: {reason[0].lower()}{reason[1:]}; {REMEDIES[code]}.\n"
    assert told.count("\n") == 1


def test_what_caused_a_refusal_is_not_told() -> None:
    refusal = Refusal(RefusalCode.LEDGER_INVALID)
    refusal.__cause__ = ValueError("CANARY-8371")
    assert "CANARY" not in ended(refusal)[1]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(13, "Permission denied", "out.svg"), "out.svg: Permission denied"),
        (FileNotFoundError("there is no home folder"), "a file: there is no home folder"),
        (PermissionError(), "a file: PermissionError"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(error: OSError, told: str) -> None:
    sentence = f"consilium: {told}; check its name and its permissions.\n"
    assert ended(error) == (BAD_INPUT, sentence)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_the_file(number: int) -> None:
    full = OSError(number, "as the system says", "SITE/site.toml")
    refusal = Refusal(RefusalCode.RECORD_UNAVAILABLE)
    refusal.__cause__ = full
    for error in (full, refusal):
        status, told = ended(error)
        assert status == BAD_INPUT
        assert told.startswith("consilium: SITE/site.toml: cannot be written, because ")
        assert told.count("\n") == 1


def test_an_interrupted_command_has_the_code_of_an_interrupt() -> None:
    status, told = ended(KeyboardInterrupt())
    assert (status, told) == (130, "consilium: interrupted; nothing was written.\n")


def test_a_command_keeps_its_own_arguments_and_help() -> None:
    @explained
    def command(name: str) -> None:
        """Says it."""

    told: Callable[[str], None] = command
    assert (told.__name__, told.__doc__) == ("command", "Says it.")


def test_a_deployed_site_is_told_of_a_command_that_works_on_it() -> None:
    """`consilium cohort describe` needs the federation file in the folder, where a deployed site has none."""
    assert "`consilium site check SITE`" in ended(Refusal(RefusalCode.COHORT_INVALID))[1]
