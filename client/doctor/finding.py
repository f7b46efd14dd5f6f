"""One thing `consilium site doctor` looked at: how it is, and what to do about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from client.site_folder.places import Home
from common.errors import InputError, Refusal


class Finding(BaseModel):
    """What a check found; `fail` keeps the site from taking part, and `warn` may."""

    model_config = ConfigDict(frozen=True)

    check: str
    level: Literal["ok", "warn", "fail"]
    told: str
    remedy: str = ""


Check = Callable[[Home], Iterator[Finding]]


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check=check, level="ok", told=told)


def warn(check: str, told: str, remedy: str) -> Finding:
    """Something that may go wrong."""
    return Finding(check=check, level="warn", told=told, remedy=remedy)


def fail(check: str, told: str, remedy: str) -> Finding:
    """Something that keeps the site from taking part."""
    return Finding(check=check, level="fail", told=told, remedy=remedy)


def made(checks: Sequence[tuple[str, Check]], home: Home) -> list[Finding]:
    """What all the checks find; one that cannot be made is a failure of its own and keeps none from being made."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check(home)
        except InputError as error:
            findings.append(fail(name, f"{error.where}: {error.what}", error.remedy))
        except Refusal as refusal:
            from common.errors import REMEDIES

            findings.append(fail(name, str(refusal), REMEDIES[refusal.code]))
        except OSError as error:
            told = f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}"
            findings.append(fail(name, told, "put it back, or give it to the user that runs the site"))
        except Exception as error:
            findings.append(
                fail(name, f"could not be looked at ({type(error).__name__})", "see the other findings")
            )
    return findings
