"""Ends of commands: an error or a refusal becomes one sentence and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from common.errors import InputError, MachineError, Refusal, refusal_text
from common.files import FULL

P = ParamSpec("P")


BAD_INPUT, INTERRUPTED = 2, 130


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """End a command's errors in a sentence and exit code 2, and an interrupt in 130."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            raise _ended(str(error), BAD_INPUT) from None
        except Refusal as refusal:
            cause = refusal.__cause__
            if isinstance(cause, OSError) and cause.errno in FULL:
                raise _ended(str(_failure(cause)), BAD_INPUT) from None
            raise _ended(refusal_text(refusal.code), BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _ended(str(_failure(error)), BAD_INPUT) from None
        except KeyboardInterrupt as interruption:
            remedy = str(interruption) or "nothing was written."
            raise _ended(f"interrupted; {remedy}", INTERRUPTED) from None

    return run


def _failure(error: OSError) -> MachineError:
    """Describe a file that could not be read or written."""
    where = str(error.filename or "a file")
    if error.errno in FULL:
        what = "cannot be written, because the disk is full"
        return MachineError(
            where, what, "make room on it, then repeat the command; no file was left half-written"
        )
    what = error.strerror or str(error) or type(error).__name__
    return MachineError(where, what, "check its name and its permissions")


def _ended(sentence: str, code: int) -> typer.Exit:
    typer.echo(f"consilium: {sentence}", err=True)
    return typer.Exit(code)
