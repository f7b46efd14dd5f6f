"""Findings of `consilium site doctor`: codes for programs, remedies for people."""

from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from client.site_folder.places import Home
from common.errors import InputCode, InputError, Refusal


class FindingCode(StrEnum):
    """Kinds of finding; a check that fails with an error has the error's code instead."""

    OK = "ok"
    ARITHMETIC_WRONG = "arithmetic-wrong"
    GPU_FAULTY = "gpu-faulty"
    GPU_HIDDEN = "gpu-hidden"
    TORCH_WITHOUT_CUDA = "torch-without-cuda"
    DISK_SHORT = "disk-short"
    SHARED_MEMORY_SHORT = "shared-memory-short"
    FOLDER_CLOSED = "folder-closed"
    KEY_EXPOSED = "key-exposed"
    FILES_EXPOSED = "files-exposed"
    RUNS_AS_ROOT = "runs-as-root"
    ONE_ACCOUNT = "one-account"
    ACCESS_WRONG = "access-wrong"
    APP_SILENT = "app-silent"
    STATE_FOLDER_UNKNOWN = "state-folder-unknown"
    STATE_FOLDER_CLOSED = "state-folder-closed"
    STATE_FOLDER_INSIDE = "state-folder-inside"
    LAUNCHER_NOT_EXECUTABLE = "launcher-not-executable"
    CACHE_EXPOSED = "cache-exposed"
    PROCESSES_LEFT = "processes-left"
    PORT_SILENT = "port-silent"
    PORT_TAKEN = "port-taken"
    KEY_MISMATCH = "key-mismatch"
    NAME_UNKNOWN = "name-unknown"
    AUTHORITY_UNUSABLE = "authority-unusable"
    PROXY_SILENT = "proxy-silent"
    PROXY_REFUSES = "proxy-refuses"
    COORDINATOR_SILENT = "coordinator-silent"
    COORDINATOR_UNWELL = "coordinator-unwell"
    NOT_ENROLLED = "not-enrolled"
    CERTIFICATE_REFUSED = "certificate-refused"
    CERTIFICATE_EXPIRING = "certificate-expiring"
    CLOCK_UNKNOWN = "clock-unknown"
    CLOCK_OFF = "clock-off"
    VERSION_DIFFERS = "version-differs"
    CODE_CHANGED = "code-changed"
    AGREEMENT_CHANGED = "agreement-changed"
    APPROVAL_DIFFERS = "approval-differs"
    INTAKE_CHANGED = "intake-changed"
    DATA_UNFIT = "data-unfit"
    COLUMNS_FAR = "columns-far"
    RECEIPTS_UNCOUNTED = "receipts-uncounted"
    RECEIPTS_BEHIND = "receipts-behind"
    CHECK_FAILED = "check-failed"


class Finding(BaseModel):
    """Outcome of a check.

    Attributes:
        check: the thing that was checked.
        level: `fail` keeps the site from taking part, and `warn` may.
        code: kind of finding, the same in every version.
        message: state of the thing, in words.
        remedy: what to do next; empty if all is well.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    level: Literal["ok", "warn", "fail"]
    code: str
    message: str
    remedy: str = ""


Check = Callable[[Home], Iterator[Finding]]


def ok(check: str, message: str) -> Finding:
    """Make a finding that all is well."""
    return Finding(check=check, level="ok", code=FindingCode.OK, message=message)


def warn(check: str, code: FindingCode, message: str, remedy: str) -> Finding:
    """Make a finding of something that may go wrong."""
    return Finding(check=check, level="warn", code=code, message=message, remedy=remedy)


def fail(check: str, code: StrEnum, message: str, remedy: str) -> Finding:
    """Make a finding of something that keeps the site from taking part."""
    return Finding(check=check, level="fail", code=code, message=message, remedy=remedy)


def run_checks(checks: Sequence[tuple[str, Check]], home: Home) -> list[Finding]:
    """Run every check; a check that raises becomes a failed finding."""
    findings: list[Finding] = []
    for name, check in checks:
        try:
            findings += check(home)
        except InputError as error:
            findings.append(fail(name, error.code, f"{error.where}: {error.what}", error.remedy))
        except Refusal as refusal:
            findings.append(fail(name, refusal.code, str(refusal), refusal.remedy))
        except OSError as error:
            message = f"{error.filename or 'a file'}: {error.strerror or type(error).__name__}"
            remedy = "put it back, or give it to the user that runs the site"
            findings.append(fail(name, InputCode.FILE_UNREADABLE, message, remedy))
        except Exception as error:
            message = f"this check failed ({type(error).__name__})"
            findings.append(fail(name, FindingCode.CHECK_FAILED, message, "see the other findings"))
    return findings
