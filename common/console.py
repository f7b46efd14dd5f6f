"""Ends of commands: an error or a refusal becomes one sentence and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from common.errors import InputError, MachineError, Refusal, refusal_text
from common.lifetime.full_disk import FULL, disk_full
from common.lifetime.signals import cause, exit_code, signals_raised
from common.lifetime.system import require_system

require_system()  # every module of commands imports this one before any that a lesser system cannot import

P = ParamSpec("P")


BAD_INPUT = 2


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """End a command's errors in a sentence and exit code 2, and a signal in 128 and its number."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            with signals_raised():
                command(*args, **kwargs)
        except InputError as error:
            raise _ended(str(error), BAD_INPUT) from None
        except Refusal as refusal:
            reason = refusal.__cause__
            if isinstance(reason, OSError) and reason.errno in FULL:
                raise _ended(failure_text(reason), BAD_INPUT) from None
            raise _ended(refusal_text(refusal), BAD_INPUT) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _ended(failure_text(error), BAD_INPUT) from None
        except KeyboardInterrupt as interruption:
            remedy = str(interruption) or "nothing was written."
            raise _ended(f"{cause(interruption)}; {remedy}", exit_code(interruption)) from None

    return run


def failure_text(error: OSError) -> str:
    """Describe a file that could not be read or written, in a sentence."""
    if error.errno in FULL:
        return str(disk_full(error))
    what = error.strerror or str(error) or type(error).__name__
    return str(MachineError(str(error.filename or "a file"), what, "check its name and its permissions"))


def _ended(sentence: str, code: int) -> typer.Exit:
    typer.echo(f"consilium: {sentence}", err=True)
    return typer.Exit(code)
