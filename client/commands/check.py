"""`consilium site check` and `site status`: what a hospital sees of its own cohort and its own running site."""

from typing import Any

from client.data.cohort import passport
from client.data.inspection import inspect_cohort
from client.site_folder.places import Home, read_approval
from common.agreement.federation import load
from common.errors import InputError, Refusal, refusal_text


def check(home: Home) -> dict[str, Any]:
    """The data passport of the cohort under the approved federation file, and what is wrong with it.

    Raises:
        InputError: if nothing is approved.
    """
    approval, federation = read_approval(home), load(home.agreement)
    if approval.federation != federation.digest:
        raise InputError(str(home.agreement), "is not the file that was approved", "approve it again")
    problems: list[str] = []
    try:
        cohort, found = inspect_cohort(home.folder, federation)
        problems = [str(problem) for problem in found]
    except InputError as error:
        cohort, problems = None, [str(error)]
    seen: dict[str, Any] = {"federation": federation.digest}
    if cohort is not None:
        seen |= passport(cohort, federation)
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
    lines = []
    if "patients" in seen:
        lines.append(f"{seen['site']}: {seen['patients']:,} patients")
        for name, part in seen["modalities"].items():
            told = f"  {name}: {part['patients']:,} patients"
            if part["patients"]:
                told += f", {part['missing']:.0%} of their cells missing"
            if part["unmatched"]:
                told += f"; {part['unmatched']:,} rows without outcomes are left out"
            lines.append(told)
        for name, counts in seen["tasks"].items():
            lines.append(f"  {name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
    lines += [f"PROBLEM {problem}" for problem in seen["problems"]]
    if not seen["problems"]:
        lines.append("The tables satisfy the approved federation file, and the policy permits it.")
    return lines
