"""Ends of commands: an error or a refusal becomes one sentence and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from common.errors import InputError, MachineError, Refusal, refusal_text

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
            raise _ended(refusal_text(refusal.code), BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where, what = error.filename or "a file", error.strerror or str(error) or type(error).__name__
            failure = MachineError(str(where), what, "check its name, its permissions and the space left")
            raise _ended(str(failure), BAD_INPUT) from None
        except KeyboardInterrupt as interruption:
            remedy = str(interruption) or "nothing was written."
            raise _ended(f"interrupted; {remedy}", INTERRUPTED) from None

    return run


def _ended(sentence: str, code: int) -> typer.Exit:
    typer.echo(f"consilium: {sentence}", err=True)
    return typer.Exit(code)
