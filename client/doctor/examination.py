"""All checks of `consilium site doctor`, in the order in which to mend what they find."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from client.commands.check import check
from client.doctor import accounts, connection, machine
from client.doctor.finding import Check, Finding, FindingCode, fail, ok, run_checks, warn
from client.doctor.port import port
from client.ledger.account import read_account
from client.receipts.page import read_receipts, verification_text
from client.runtime.services import state_file
from client.site_folder.apart import read_far
from client.site_folder.approved_intake import intake_digest
from client.site_folder.keys import read_key, read_public_key
from client.site_folder.places import Home, read_approval
from client.site_folder.site_file import parse_site_file
from common.agreement.bundle import PACKAGE, bundle_hash
from common.agreement.loading import load_agreement
from common.counting import counted
from common.families.registry import family_of
from common.installed_code import code_hash
from common.node_keys import fingerprint
from common.processes.supervision_state import leftovers, leftovers_text
from common.word_code import word_code


def examine(home: Home) -> list[Finding]:
    """Run all checks."""
    return run_checks(CHECKS, home)


def _key(home: Home) -> Iterator[Finding]:
    public = fingerprint(read_key(home.key).public_key())
    if fingerprint(read_public_key(home.public_key)) != public:
        message = "the public key does not belong to it"
        remedy = f"remove {home.public_key}, then site init"
        yield fail("node key", FindingCode.KEY_MISMATCH, message, remedy)
    else:
        yield ok("node key", public)


def _agreement(home: Home) -> Iterator[Finding]:
    approval, federation = read_approval(home), load_agreement(home.agreement)
    installed = version(PACKAGE)
    if approval.version != installed:
        message = f"approved for consilium {approval.version}, installed is {installed}"
        remedy = "review what changed, then approve the federation file again"
        yield fail("version", FindingCode.VERSION_DIFFERS, message, remedy)
    elif approval.code != (code := code_hash()):
        message = f"the files of consilium {installed} are not those that were approved"
        remedy = "install the release again, or review what changed and approve the federation file again"
        yield fail("version", FindingCode.CODE_CHANGED, message, remedy)
    else:
        yield ok("version", f"{installed}, files with SHA-256 {code}")
    listed = parse_site_file(home.folder).approved
    if approval.federation != federation.digest:
        message = "the copy is not the file that was approved"
        yield fail("federation", FindingCode.AGREEMENT_CHANGED, message, "approve it again")
    elif intake_digest(home.folder) != approval.intake:
        message = "the rules of intake in site.toml have changed since they were approved"
        remedy = "look at `consilium site intake SITE`, then approve the federation file again"
        yield fail("federation", FindingCode.INTAKE_CHANGED, message, remedy)
    elif listed not in (None, federation.digest):
        message = "site.toml names another hash as approved"
        yield fail("federation", FindingCode.APPROVAL_DIFFERS, message, "change or remove `approved` there")
    else:
        files, words = len(federation.public_files), word_code(federation.digest)
        said = f"{federation.digest} ({words}), with {files} public files; ask the coordinator for its hash"
        yield ok("federation", said)
        yield ok("bundle", f"{bundle_hash(federation)} is the only one that runs here")


def _data(home: Home) -> Iterator[Finding]:
    passport = check(home)
    for problem in passport["problems"]:
        yield fail("data", FindingCode.DATA_UNFIT, problem, "correct it, then `consilium site check`")
    if not passport["problems"]:
        federation = load_agreement(home.agreement)
        units = family_of(federation).words(federation).counted(passport["units"])
        yield ok("data", f"{units}, in tables that satisfy the federation file")


def _comparison(home: Home) -> Iterator[Finding]:
    note = read_far(home)
    if note is None:
        yield ok("comparison", "the last run found no column far from the other hospitals'")
        return
    message = f"far from the other hospitals, as told {note.at}: {'; '.join(note.columns)}"
    yield warn("comparison", FindingCode.COLUMNS_FAR, message, "check the unit: consilium site profile SITE")


def _ledger(home: Home) -> Iterator[Finding]:
    account = read_account(home.folder)
    entries = "none yet" if account.entries is None else counted(account.entries, "entry", "entries")
    yield ok("ledger", f"{entries}, whole")


def _receipts(home: Home) -> Iterator[Finding]:
    receipts = read_receipts(home)
    if receipts.receipts and receipts.outside is None:
        remedy = (
            "use the service's user and CONSILIUM_STATE; on a new machine, or with receipts from a backup, make sure "
            "that they are the latest, then consilium site ledger SITE --acknowledge NOTE"
        )
        yield fail("receipts", FindingCode.RECEIPTS_UNCOUNTED, verification_text(receipts), remedy)
    elif receipts.missing:
        remedy = "put the latest ones back, or consilium site ledger SITE --acknowledge NOTE"
        yield fail("receipts", FindingCode.RECEIPTS_BEHIND, verification_text(receipts), remedy)
    else:
        yield ok("receipts", verification_text(receipts))


def _leftovers(home: Home) -> Iterator[Finding]:
    if left := leftovers(state_file(home)):
        message = leftovers_text(left, "`consilium site stop`")
        yield fail("services", FindingCode.PROCESSES_LEFT, message, "consilium site stop")
    else:
        yield ok("services", "no process is left of a supervisor that was killed")


CHECKS: Sequence[tuple[str, Check]] = (
    ("python", machine.python),
    ("disk", machine.disk),
    ("shared memory", machine.shared_memory),
    ("permissions", machine.permissions),
    ("user", machine.user),
    ("accounts", accounts.accounts),
    ("other users", machine.other_users),
    ("outside", machine.outside_copies),
    ("cache", machine.cache),
    ("launcher", machine.launcher),
    ("services", _leftovers),
    ("local port", port),
    ("node key", _key),
    ("proxy", connection.proxies),
    ("dns", connection.dns),
    ("authority", connection.authority),
    ("coordinator", connection.coordinator),
    ("federation", _agreement),
    ("data", _data),
    ("comparison", _comparison),
    ("ledger", _ledger),
    ("receipts", _receipts),
)


def findings_lines(findings: Sequence[Finding]) -> list[str]:
    """Write a line per finding, its remedy below."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:4}  {finding.check}: {finding.message}")
        if finding.remedy:
            lines.append(f"      -> {finding.remedy}")
    failed = sum(finding.level == "fail" for finding in findings)
    warned = sum(finding.level == "warn" for finding in findings)
    ready = "the site can take part" if not failed else f"{failed} to mend before the site can take part"
    return [*lines, f"{counted(len(findings), 'finding')}, {counted(warned, 'warning')}: {ready}."]
