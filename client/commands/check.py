"""`consilium site check` and `site status`: what a hospital sees of its own cohort and its own running site."""

from typing import Any

from client.families.registry import reader_named, reader_of
from client.site_folder.places import Home, read_approval
from client.site_folder.site_file import read_site_file
from common.agreement.loading import load_agreement
from common.errors import ApprovalError, InputError, Refusal, refusal_text


def check(home: Home) -> dict[str, Any]:
    """The data passport of the cohort under the approved federation file, and what is wrong with it.

    Raises:
        InputError: if nothing is approved.
    """
    approval, federation = read_approval(home), load_agreement(home.agreement)
    if approval.federation != federation.digest:
        raise ApprovalError(str(home.agreement), "is not the file that was approved", "approve it again")
    reader = reader_of(federation)
    problems: list[str] = []
    try:
        holding, found = reader.read(home.folder, read_site_file(home.folder, federation), federation)
        problems = [str(problem) for problem in found]
    except InputError as error:
        holding, problems = None, [str(error)]
    seen: dict[str, Any] = {"federation": federation.digest, "kind": federation.kind}
    if holding is not None:
        seen |= reader.passport(holding, federation)
    if not problems:
        problems += _objections(home)
    return seen | {"problems": problems}


def _objections(home: Home) -> list[str]:
    """Why the app would refuse to train on sound tables; at most one reason."""
    # imports everything that training needs, which a status does without
    from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site

    try:
        site = assemble_site(SiteSources(home.folder, home.agreement), SharedAgreement(home.agreement))
        _ = site.terms
        site.patients(-1)
    except InputError as error:
        return [str(error)]
    except Refusal as refusal:
        return [refusal_text(refusal.code)]
    return []


def check_lines(seen: dict[str, Any]) -> list[str]:
    """A passport as lines; counts only."""
    lines = reader_named(seen["kind"]).passport_lines(seen) if "patients" in seen else []
    lines += [f"PROBLEM {problem}" for problem in seen["problems"]]
    if not seen["problems"]:
        lines.append("The tables satisfy the approved federation file, and the policy permits it.")
    return lines
