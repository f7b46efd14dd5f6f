"""How commands end: bad input, a refusal or a file that cannot be used becomes one sentence and an exit code."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer

from common.errors import REFUSALS, InputError, Refusal, RefusalCode

P = ParamSpec("P")

BAD_INPUT, INTERRUPTED = 2, 130

_KNOWN = "go on with what is still known to be spent by `consilium site ledger FOLDER --acknowledge NOTE`"
_POLICY = "change the federation file, or [policy] in site.toml if the hospital agrees"
REMEDIES: dict[RefusalCode, str] = {
    RefusalCode.COHORT_INVALID: "`consilium site check SITE` lists what to correct",
    RefusalCode.FEDERATION_MISMATCH: "review the new federation file and approve its hash",
    RefusalCode.REQUEST_INVALID: "install the same version of consilium on both sides",
    RefusalCode.NO_TRAINING_PATIENTS: "pool this site with another or do not take part",
    RefusalCode.TRAINING_DIVERGED: "lower the learning rate in the federation file",
    RefusalCode.DECLINED_WITHOUT_PRIVACY: "add [privacy] to the federation file",
    RefusalCode.DECLINED_BUDGET: "plan with more noise or fewer rounds by `consilium privacy plan`",
    RefusalCode.DECLINED_COHORT: _POLICY,
    RefusalCode.DECLINED_TASK: _POLICY,
    RefusalCode.DECLINED_STATISTICS: _POLICY,
    RefusalCode.GUARANTEE_BROKEN: "remove what breaks it, or [privacy]",
    RefusalCode.LEDGER_MISSING: f"put it back, or {_KNOWN}",
    RefusalCode.LEDGER_INVALID: f"undo the change, or {_KNOWN}",
    RefusalCode.LEDGER_UNAVAILABLE: "see to the disk, the permissions and other processes, then try again",
    RefusalCode.NOT_APPROVED: "review it and approve it by `consilium site approve SITE FOLDER`",
    RefusalCode.BUNDLE_FOREIGN: "start the run by `consilium coordinator run` with the file that was approved",
    RefusalCode.VERSION_MISMATCH: "install the same version on both sides and approve the federation file again",
    RefusalCode.DEVICE_UNAVAILABLE: "`consilium site doctor SITE` says what is there; else set device to auto",
    RefusalCode.GATE_BLOCKED: "`consilium site receipts SITE` says why",
    RefusalCode.INTERNAL: "look there",
}


def explained(command: Callable[P, None]) -> Callable[P, None]:
    """Bad input, a refusal or an unusable file ends in one sentence and exit code 2, an interrupted run in 130."""

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
            told = InputError(str(where), what, "check its name, its permissions and the space left")
            raise _ended(str(told), BAD_INPUT) from None
        except KeyboardInterrupt:
            raise _ended("interrupted; nothing was written.", INTERRUPTED) from None

    return run


def refusal_text(code: RefusalCode) -> str:
    """A refusal as a sentence that also says what to do next."""
    reason = REFUSALS[code].rstrip(".")
    return f"{reason[0].lower()}{reason[1:]}; {REMEDIES[code]}."


def _ended(sentence: str, code: int) -> typer.Exit:
    typer.echo(f"consilium: {sentence}", err=True)
    return typer.Exit(code)
