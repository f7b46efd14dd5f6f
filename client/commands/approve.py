"""Command `consilium site approve`: a hospital's copy of an approved federation file."""

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from client.ledger.account import read_account
from client.ledger.ledger import LEDGER, Ledger
from client.rounds.kept_reply import forget_replies
from client.site_folder.approved_intake import intake_digest
from client.site_folder.outside import state_folder, user_name
from client.site_folder.places import APPROVAL_FILE, Approval, Home, approved_groups, read_approval
from client.site_folder.policy import Policy, Terms, agree
from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.bundle import PACKAGE
from common.agreement.folder import copy_agreement
from common.agreement.loading import load_agreement
from common.errors import ApprovalError, InputError, InvalidContentError, Refusal, StateError
from common.families.family import refuse
from common.families.registry import family_of
from common.files import sync_folder, write_whole
from common.installed_code import code_hash
from common.lifetime.leftovers import draft
from common.models.parameter_groups import ModelGroups
from common.privacy.accounting import Release

BEFORE = ".agreement-before"
"""Name of the earlier copy's folder while a new one takes its place."""


@dataclass(frozen=True)
class Proposal:
    """Federation file with the terms on which this hospital would take part.

    Attributes:
        source: the folder it lies in.
        federation: the file.
        site: the hospital's name.
        policy: what the hospital allows.
        terms: what would hold.
        weights: parameter -> shape of the model.
        groups: averaging groups of its parameters.
        spent: everything this cohort ever released.
        intake: SHA-256 of the rules of intake.
    """

    source: Path
    federation: Agreement
    site: str
    policy: Policy
    terms: Terms
    weights: dict[str, tuple[int, ...]]
    groups: ModelGroups
    spent: tuple[Release, ...]
    intake: str = ""


def read_proposal(home: Home, source: Path) -> Proposal:
    """Read a federation file from a folder or by its own path.

    Raises:
        InputError: if it is not usable, asks for privacy with something that breaks it, or does not name this hospital.
        Refusal: if the hospital's policy forbids taking part.
    """
    folder = source if source.is_dir() else source.parent
    file = folder / FILE_NAME if source.is_dir() else source
    federation, site = load_agreement(file), parse_site_file(home.folder)
    if site.name not in {participant.name for participant in federation.participants}:
        raise InvalidContentError(
            str(file), f"does not name {site.name} among its participants", "ask the coordinator to add it"
        )
    if site.approved is not None and site.approved != federation.digest:
        raise ApprovalError(
            f"{home.folder / 'site.toml'}, approved",
            "is the hash of another federation file",
            "change or remove it",
        )
    family = family_of(federation)
    _require_the_same_records(home, federation, family.words(federation).singular)
    if federation.privacy is not None:
        refuse(family, federation)
    terms = agree(
        site.policy, federation, site.policy.minimum_cohort
    )  # the size is looked at by `site check`
    model = family.model(federation, family.public(federation, folder), 0)
    weights = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    account = read_account(home.folder)
    releases = tuple(release for run in account.runs for release in run.releases)
    intake = intake_digest(home.folder)
    return Proposal(
        file, federation, site.name, site.policy, terms, weights, model.groups(), releases, intake
    )


def _require_the_same_records(home: Home, federation: Agreement, unit: str) -> None:
    """Refuse a second kind of record or unit of privacy in one site folder.

    Their budgets do not add up.

    Raises:
        StateError: naming what the folder is for.
    """
    remedy = "make a second site folder by `consilium site init`, and approve this file there"
    counted = read_account(home.folder).unit
    if counted not in (None, unit):
        what = f"counts privacy by {counted}, and the federation file counts it by {unit}"
        raise StateError(str(home.folder / LEDGER), what, remedy)
    try:
        before = read_approval(home)
    except InputError:  # there is none, or it is spoilt: the ledger has been asked already
        return
    if (before.kind, before.unit) != (federation.kind, unit):
        what = (
            f"was approved for records of kind {before.kind} (unit {before.unit}), and the federation file has "
            f"kind {federation.kind} (unit {unit})"
        )
        raise StateError(str(home.folder), what, remedy)


def approve(home: Home, proposal: Proposal) -> Approval:
    """Keep the hospital's own copy, never half of one, and count the runs of the file anew.

    A process that is killed just between the two renames leaves the earlier copy under `BEFORE`: nothing is approved
    then, the site takes part in nothing, and approving again mends it.

    Raises:
        OSError: if it cannot be written; an earlier copy is then still there.
        Refusal: if the ledger cannot be written; the earlier copy is then still there.
    """
    federation = proposal.federation
    approval = Approval(
        federation=federation.digest,
        version=version(PACKAGE),
        code=code_hash(),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        kind=federation.kind,
        unit=family_of(federation).words(federation).singular,
        weights=proposal.weights,
        groups=approved_groups(proposal.groups),
        linear=tuple(sorted(proposal.groups.linear)),
        intake=proposal.intake,
        user=user_name(os.geteuid()),
        state=str(state_folder().absolute()),
    )
    target = home.agreement.parent
    home.residual.unlink(
        missing_ok=True
    )  # of updates under an earlier approval, perhaps of patients who have left
    forget_replies(home)
    with draft(".agreement-", home.folder) as new:
        new.chmod(0o755)
        if copy_agreement(proposal.source, new).digest != federation.digest:
            raise ApprovalError(str(proposal.source), "changed while it was shown", "approve it again")
        if intake_digest(home.folder) != proposal.intake:
            where = f"{home.folder / SITE_FILE}, intake"
            raise ApprovalError(where, "changed while it was shown", "approve it again")
        write_whole(new / APPROVAL_FILE, approval.model_dump_json(indent=2).encode() + b"\n")
        old = home.folder / BEFORE
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
            target.replace(old)
        try:
            new.replace(target)
            with Ledger(home.folder) as ledger:
                ledger.approve(federation.digest)
        except (OSError, Refusal):
            shutil.rmtree(target, ignore_errors=True)
            if old.exists():
                old.replace(target)
            raise
        sync_folder(home.folder)
        shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(home.asked, ignore_errors=True)
    return approval
