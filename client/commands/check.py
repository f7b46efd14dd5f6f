"""Command `consilium site check`: data passport of a cohort, and its problems."""

from typing import Any

from client.families.registry import reader_named, reader_of
from client.site_folder.approved_intake import require_approved_intake
from client.site_folder.places import Home, read_approval
from client.site_folder.site_file import read_site_file
from common.agreement.loading import load_agreement
from common.errors import ApprovalError, InputError, Refusal, refusal_text


def check(home: Home) -> dict[str, Any]:
    """Make the data passport of the cohort under the approved federation file.

    Its `units` are the units of privacy, missing where the tables cannot be read; its `problems` are sentences, and
    `codes` their kinds, in the same order.

    Raises:
        InputError: if nothing is approved.
    """
    approval, federation = read_approval(home), load_agreement(home.agreement)
    if approval.federation != federation.digest:
        raise ApprovalError(str(home.agreement), "is not the file that was approved", "approve it again")
    reader = reader_of(federation)
    problems: list[InputError | Refusal] = []
    try:
        require_approved_intake(home, approval)
        holding, faults = reader.read(home.folder, read_site_file(home.folder, federation), federation)
        problems += faults
    except InputError as error:
        holding, problems = None, [error]
    passport: dict[str, Any] = {"federation": federation.digest, "kind": federation.kind}
    if holding is not None:
        passport |= reader.passport(holding, federation) | {"units": len(holding.records)}
    if not problems:
        problems += _objections(home)
    return passport | {
        "problems": [_sentence(problem) for problem in problems],
        "codes": [problem.code for problem in problems],
    }


def _sentence(problem: InputError | Refusal) -> str:
    return refusal_text(problem) if isinstance(problem, Refusal) else str(problem)


def _objections(home: Home) -> list[InputError | Refusal]:
    """Reason for which the app would refuse to train on sound tables; at most one."""
    # imports everything that training needs, which a status does without
    from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site

    try:
        site = assemble_site(SiteSources(home.folder, home.agreement), SharedAgreement(home.agreement))
        _ = site.terms
        site.split_records(-1)
    except (InputError, Refusal) as objection:
        return [objection]
    return []


def check_lines(passport: dict[str, Any]) -> list[str]:
    """Write a passport as lines, of counts only."""
    lines = reader_named(passport["kind"]).passport_lines(passport) if "units" in passport else []
    lines += [f"WARNING {warning}" for warning in passport.get("warnings", [])]
    lines += [f"PROBLEM {problem}" for problem in passport["problems"]]
    if not passport["problems"]:
        lines.append("The tables satisfy the approved federation file, and the policy permits it.")
    return lines
