"""Errors of bad input, sentences for a person, and refusals, codes for the other side.

A sentence never contains a value from a patient's row, nor an identifier: it names the file, the column
and the remedy. A code is all that leaves a hospital when something inside it went wrong.
"""

from enum import StrEnum
from typing import ClassVar


class InputCode(StrEnum):
    """Kinds of bad input, for programs; `docs/errors.md` has a line for each of them."""

    INPUT_INVALID = "input-invalid"
    FILE_MISSING = "file-missing"
    FILE_UNREADABLE = "file-unreadable"
    CONTENT_INVALID = "content-invalid"
    OPTION_INVALID = "option-invalid"
    STATE_WRONG = "state-wrong"
    NOT_APPROVED = "not-approved"
    INTEGRITY_BROKEN = "integrity-broken"
    GUARANTEE_BROKEN = "guarantee-broken"
    MACHINE_UNFIT = "machine-unfit"
    DEPENDENCY_MISSING = "dependency-missing"
    DISK_FULL = "disk-full"
    REGISTRATION_INVALID = "registration-invalid"
    SERVICE_UNREACHABLE = "service-unreachable"


class InputError(Exception):
    """Bad input, explained to the person who can mend it.

    Args:
        where: the file, and the column or key in it.
        what: what is wrong, without any value from a patient's row.
        remedy: what to do next. What is not printable in these texts is escaped: a file must not move a cursor.

    Attributes:
        code: the kind of error, the same for all errors of a class and in every version.
    """

    code: ClassVar[InputCode] = InputCode.INPUT_INVALID

    def __init__(self, where: str, what: str, remedy: str) -> None:
        self.where, self.what, self.remedy = escaped(where), escaped(what), escaped(remedy)
        super().__init__(f"{self.where}: {self.what}; {self.remedy}.")

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str, str]]:
        """Describe the error to another process, as a worker of an executor raises it."""
        return type(self), (self.where, self.what, self.remedy)


class MissingFileError(InputError):
    """A file or folder that is not there."""

    code = InputCode.FILE_MISSING


class UnreadableFileError(InputError):
    """A file that cannot be read or written, or has not the format that it should have."""

    code = InputCode.FILE_UNREADABLE


class InvalidContentError(InputError):
    """A file that can be read, with a key, a column or a cell that does not fit."""

    code = InputCode.CONTENT_INVALID


class OptionError(InputError):
    """An option or argument of a command or a call that does not fit."""

    code = InputCode.OPTION_INVALID


class StateError(InputError):
    """A step that does not fit the present state, such as starting what runs already."""

    code = InputCode.STATE_WRONG


class ApprovalError(InputError):
    """A federation file that the hospital has not approved as it is."""

    code = InputCode.NOT_APPROVED


class IntegrityError(InputError):
    """A file that was changed, cut or rolled back since it was written, signed or agreed on."""

    code = InputCode.INTEGRITY_BROKEN


class GuaranteeError(InputError):
    """An agreement under which differential privacy would not hold."""

    code = InputCode.GUARANTEE_BROKEN


class MachineError(InputError):
    """A machine that lacks a device, a port, a program or a permission."""

    code = InputCode.MACHINE_UNFIT


class MissingDependencyError(MachineError):
    """A Python package that is not installed."""

    code = InputCode.DEPENDENCY_MISSING


class DiskFullError(MachineError):
    """A disk, a quota or a largest size of files that is used up."""

    code = InputCode.DISK_FULL


class RegistrationError(InputError):
    """A part that a registry refuses: unfit, or of a name that is taken."""

    code = InputCode.REGISTRATION_INVALID


class UnreachableError(InputError):
    """A service that does not answer, or not as it should."""

    code = InputCode.SERVICE_UNREACHABLE


def escaped(text: str) -> str:
    """Text of another party or a file as a terminal may show it, which it must not command."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


class RefusalCode(StrEnum):
    """Reason for which a site did not do what it was asked: all that the coordinator learns."""

    COHORT_INVALID = "cohort-invalid"
    FEDERATION_MISMATCH = "federation-mismatch"
    REQUEST_INVALID = "request-invalid"
    INPUT_UNAPPROVED = "input-unapproved"
    QUESTION_REPEATED = "question-repeated"
    ROUND_ANSWERED = "round-answered"
    NO_TRAINING_PATIENTS = "no-training-patients"
    TRAINING_DIVERGED = "training-diverged"
    DECLINED_WITHOUT_PRIVACY = "declined-without-privacy"
    DECLINED_BUDGET = "declined-budget"
    DECLINED_COHORT = "declined-cohort"
    DECLINED_TASK = "declined-task"
    DECLINED_UNIT = "declined-unit"
    DECLINED_RUNS = "declined-runs"
    DECLINED_REFUSALS = "declined-refusals"
    DECLINED_REACH = "declined-reach"
    DECLINED_LINEAR = "declined-linear"
    DECLINED_STATISTICS = "declined-statistics"
    DISCLOSURE_DIFFERS = "disclosure-differs"
    GUARANTEE_BROKEN = "guarantee-broken"
    LEDGER_MISSING = "ledger-missing"
    LEDGER_INVALID = "ledger-invalid"
    LEDGER_UNCONFIRMED = "ledger-unconfirmed"
    LEDGER_UNAVAILABLE = "ledger-unavailable"
    RECEIPTS_BEHIND = "receipts-behind"
    RECORD_INVALID = "record-invalid"
    RECORD_UNAVAILABLE = "record-unavailable"
    NOT_APPROVED = "not-approved"
    BUNDLE_FOREIGN = "bundle-foreign"
    VERSION_MISMATCH = "version-mismatch"
    CODE_CHANGED = "code-changed"
    DEVICE_UNAVAILABLE = "device-unavailable"
    APP_UNAVAILABLE = "app-unavailable"
    DISK_FULL = "disk-full"
    GATE_BLOCKED = "gate-blocked"
    INTERNAL = "internal"


REFUSALS: dict[RefusalCode, str] = {
    RefusalCode.COHORT_INVALID: "The site's tables do not satisfy the federation file.",
    RefusalCode.FEDERATION_MISMATCH: "The run is for another federation file than the one that the hospital approved.",
    RefusalCode.REQUEST_INVALID: "The request is not one the site understands.",
    RefusalCode.INPUT_UNAPPROVED: "The request has weights, scaling or a seed that the approved file cannot lead to.",
    RefusalCode.QUESTION_REPEATED: "The site has answered this question, or a later one, of the run already.",
    RefusalCode.ROUND_ANSWERED: "The site has answered this round of the run for other weights.",
    RefusalCode.NO_TRAINING_PATIENTS: "The site has too few patients to train on.",
    RefusalCode.TRAINING_DIVERGED: "Training at the site gave weights that are not finite.",
    RefusalCode.DECLINED_WITHOUT_PRIVACY: "The hospital's policy asks for differential privacy: "
    "by `privacy`, or without that key by `require_dp`, `maximum_epsilon` or `minimum_noise_multiplier`.",
    RefusalCode.DECLINED_BUDGET: "The hospital's privacy budget does not cover the run.",
    RefusalCode.DECLINED_COHORT: "The cohort is smaller than the hospital's policy asks for.",
    RefusalCode.DECLINED_TASK: "The hospital's policy does not permit a task of the federation file.",
    RefusalCode.DECLINED_UNIT: "The site's privacy ledger counts another unit of privacy than the federation file.",
    RefusalCode.DECLINED_RUNS: "The site has taken part in as many runs as its approval of the file allows.",
    RefusalCode.DECLINED_REFUSALS: "The site has refused as many requests as its approval of the file allows.",
    RefusalCode.DECLINED_REACH: "A round of the federation file may move weights further, or a hospital be larger, "
    "than the hospital's policy permits without differential privacy.",
    RefusalCode.DECLINED_LINEAR: "The federation file asks for more rounds of exact gradients of linear scores "
    "than the hospital's policy permits.",
    RefusalCode.DECLINED_STATISTICS: "The hospital's policy does not permit the statistics asked for.",
    RefusalCode.DISCLOSURE_DIFFERS: "With what the site disclosed before, exact numbers would tell of few patients.",
    RefusalCode.GUARANTEE_BROKEN: "The federation file asks for privacy with something that breaks it.",
    RefusalCode.LEDGER_MISSING: "The privacy ledger of a cohort that has trained before is missing.",
    RefusalCode.LEDGER_INVALID: "The privacy ledger has been changed or damaged.",
    RefusalCode.LEDGER_UNCONFIRMED: "Nothing outside the site folder confirms that the privacy ledger is the latest.",
    RefusalCode.LEDGER_UNAVAILABLE: "The privacy ledger cannot be used just now.",
    RefusalCode.RECEIPTS_BEHIND: "The coordinator has messages that the hospital's receipts lack.",
    RefusalCode.RECORD_INVALID: "A lasting record of the hospital was changed, set back or lost.",
    RefusalCode.RECORD_UNAVAILABLE: "A lasting record of the hospital cannot be used just now.",
    RefusalCode.NOT_APPROVED: "The hospital has not approved a federation file for this site.",
    RefusalCode.BUNDLE_FOREIGN: "The run brings another bundle than the one that names the installed package.",
    RefusalCode.VERSION_MISMATCH: "The run, or the hospital's approval, is for another version of consilium.",
    RefusalCode.CODE_CHANGED: "The installed files of consilium are not those that the hospital approved.",
    RefusalCode.DEVICE_UNAVAILABLE: "The GPU that the site is set to train on is not there, or does not compute.",
    RefusalCode.APP_UNAVAILABLE: "The process that computes at the site, under an account of its own, does not listen.",
    RefusalCode.DISK_FULL: "The site has no room left on its disk.",
    RefusalCode.GATE_BLOCKED: "The hospital's gate held the answer back.",
    RefusalCode.INTERNAL: "Something failed at the site; its own log says what.",
}


class Refusal(Exception):
    """A site's refusal: leaves the building as its code alone.

    The cause, if any, is chained for the site's own log and never travels.

    Args:
        code: reason, all that the coordinator learns.
        remedy: what to do about this one at the hospital, such as a key of its policy with the value that would lift
            the refusal; it never travels. Without it, the usual remedy of the code stands.

    Attributes:
        remedy: what to do next, for the hospital's own terminal.
    """

    def __init__(self, code: RefusalCode, remedy: str = "") -> None:
        super().__init__(REFUSALS[code])
        self.code, self.remedy = code, remedy or REMEDIES[code]


_KNOWN = "go on with what is still known to be spent by `consilium site ledger FOLDER --acknowledge NOTE`"


_MACHINE = "see to the disk, the permissions and other processes, then try again"


REMEDIES: dict[RefusalCode, str] = {
    RefusalCode.COHORT_INVALID: "`consilium site check SITE` lists what to correct",
    RefusalCode.FEDERATION_MISMATCH: "review the new file and approve it by `consilium site approve SITE FOLDER`",
    RefusalCode.REQUEST_INVALID: "install the same version of consilium on both sides",
    RefusalCode.INPUT_UNAPPROVED: "ask the coordinator how it made them; the site's own log names the part",
    RefusalCode.QUESTION_REPEATED: "go on with the next round, or begin a new run",
    RefusalCode.ROUND_ANSWERED: "resume the run from the checkpoint whose weights were sent, or begin a new run",
    RefusalCode.NO_TRAINING_PATIENTS: "pool this site with another or do not take part",
    RefusalCode.TRAINING_DIVERGED: "lower the learning rate in the federation file",
    RefusalCode.DECLINED_WITHOUT_PRIVACY: (
        'add [privacy] to the federation file, or set policy.privacy = "allowed" in site.toml if the hospital agrees'
    ),
    RefusalCode.DECLINED_BUDGET: (
        "plan with more noise or fewer rounds by `consilium privacy plan`, or raise policy.maximum_epsilon in "
        "site.toml to what `consilium site approve` names, if the hospital agrees"
    ),
    RefusalCode.DECLINED_COHORT: "lower policy.minimum_cohort in site.toml if the hospital agrees",
    RefusalCode.DECLINED_TASK: "add the file's tasks to policy.tasks in site.toml if the hospital agrees",
    RefusalCode.DECLINED_UNIT: "take part with a second site folder: `consilium site init` makes it",
    RefusalCode.DECLINED_RUNS: "approve the file again by `consilium site approve`, or raise policy.maximum_runs",
    RefusalCode.DECLINED_REFUSALS: (
        "look in the site's log for what was refused, then approve the file again by `consilium site approve`, or "
        "raise policy.maximum_refusals"
    ),
    RefusalCode.DECLINED_REACH: (
        "declare the patients of all participants, take larger batches, fewer epochs or a lower learning rate, add "
        "[privacy], or raise policy.maximum_reach or policy.largest_hospital in site.toml"
    ),
    RefusalCode.DECLINED_LINEAR: (
        "set training.linear_rounds = 0 or add [privacy], or, for a coordinator that may see single patients, raise "
        "policy.maximum_linear_rounds in site.toml"
    ),
    RefusalCode.DECLINED_STATISTICS: (
        "declare the scaling in the federation file, or change policy.statistics in site.toml, or policy.assessment "
        "for sums about the trained model, if the hospital agrees"
    ),
    RefusalCode.DISCLOSURE_DIFFERS: (
        "use the tables, the split, the transforms and the clips of the earlier run, wait for more patients, or add "
        "[privacy] with declared statistics; `consilium site approve` names the numbers"
    ),
    RefusalCode.GUARANTEE_BROKEN: "remove what breaks it, or [privacy]",
    RefusalCode.LEDGER_MISSING: f"put it back, or {_KNOWN}",
    RefusalCode.LEDGER_INVALID: f"undo the change, or {_KNOWN}",
    RefusalCode.LEDGER_UNCONFIRMED: f"use the service's user and CONSILIUM_STATE; after a restore, {_KNOWN}",
    RefusalCode.LEDGER_UNAVAILABLE: _MACHINE,
    RefusalCode.RECEIPTS_BEHIND: f"put the latest receipts, ledger and records back, or {_KNOWN}",
    RefusalCode.RECORD_INVALID: f"put it back, or {_KNOWN}",
    RefusalCode.RECORD_UNAVAILABLE: _MACHINE,
    RefusalCode.NOT_APPROVED: "review it and approve it by `consilium site approve SITE FOLDER`",
    RefusalCode.BUNDLE_FOREIGN: "start the run by `consilium coordinator run` with the file that was approved",
    RefusalCode.VERSION_MISMATCH: "install the same version on both sides and approve the federation file again",
    RefusalCode.CODE_CHANGED: "install the release again, or review what changed and approve the federation file again",
    RefusalCode.DEVICE_UNAVAILABLE: "`consilium site doctor SITE` says what is there; else set device to auto",
    RefusalCode.APP_UNAVAILABLE: "start the service of `consilium site app`; `consilium site doctor SITE` says more",
    RefusalCode.DISK_FULL: "make room on it; `df` and `consilium site doctor SITE` say where it lacks",
    RefusalCode.GATE_BLOCKED: "`consilium site receipts SITE` says why",
    RefusalCode.INTERNAL: "look there",
}


def refusal_text(refusal: Refusal) -> str:
    """A refusal as a sentence that also says what to do next, for the hospital's own terminal."""
    reason = REFUSALS[refusal.code].rstrip(".")
    return f"{reason[0].lower()}{reason[1:]}; {refusal.remedy}."
