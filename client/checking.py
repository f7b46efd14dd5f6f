"""`consilium site check` and `site status`: what a hospital sees of its own cohort and its own running site."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from client.cohort import inspect_cohort, parse_site_file, passport
from client.home import Home, read_approval, read_connection
from client.keys import fingerprint, read_public_key
from client.loopback import answers
from client.receipts_page import read_receipts
from client.running import SUPERNODE, state_file
from common.console import refusal_text
from common.errors import InputError, Refusal
from common.federation import load
from common.supervision_state import ServiceState, leftovers, leftovers_text, read_state


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
    from client.site import Site  # brings all that training needs, which a status does not

    try:
        site = Site(home.folder, home.agreement)
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


class Status(BaseModel):
    """A site at one moment.

    Attributes:
        site: the hospital's name.
        fingerprint: of its node key.
        coordinator: HOST:PORT.
        federation: digest of what is approved; None if nothing is.
        approved_at: ISO 8601 in UTC.
        running: whether the supervisor runs.
        answering: whether the SuperNode's local port answers.
        services: of the supervisor.
        leftovers: service -> process, of what still runs though the supervisor was killed.
        receipts: how many messages left; None if the receipts are not whole.
        last_message: when the last one left, and its verdict.
    """

    model_config = ConfigDict(frozen=True)

    site: str
    fingerprint: str
    coordinator: str
    federation: str | None
    approved_at: str | None
    running: bool
    answering: bool
    services: dict[str, ServiceState]
    leftovers: dict[str, int] = {}
    receipts: int | None
    last_message: str | None


def status(home: Home) -> Status:
    """What can be said of a site without asking anybody else.

    Raises:
        InputError: if the folder was never made a site.
    """
    connection = read_connection(home)
    try:
        approval = read_approval(home)
    except InputError:
        approval = None
    state = read_state(state_file(home))
    try:
        receipts = read_receipts(home).receipts
        count: int | None = len(receipts)
    except InputError:
        receipts, count = (), None
    last = receipts[-1] if receipts else None
    return Status(
        site=parse_site_file(home.folder).name,
        fingerprint=fingerprint(read_public_key(home.public_key)),
        coordinator=connection.coordinator,
        federation=None if approval is None else approval.federation,
        approved_at=None if approval is None else approval.at,
        running=state is not None,
        answering=state is not None and answers(home, connection.port),
        services={} if state is None else state.services,
        leftovers=leftovers(state_file(home)),
        receipts=count,
        last_message=None if last is None else f"{last.at[:19]} {last.message} {last.verdict}",
    )


def status_lines(found: Status) -> list[str]:
    """A status as lines."""
    approved = (
        f"{found.federation[:10]}, approved {found.approved_at}" if found.federation else "nothing approved"
    )
    lines = [
        f"{found.site}: {'running' if found.running else 'not running'}, node key {found.fingerprint}",
        f"  coordinator {found.coordinator}",
        f"  federation {approved}",
    ]
    for name, service in found.services.items():
        state = (
            f"process {service.pid}" if service.pid else f"ended with {service.last_exit}, starts again soon"
        )
        again = f", {service.restarts} restarts" if service.restarts else ""
        silent = ", its port does not answer yet" if name == SUPERNODE and not found.answering else ""
        lines.append(f"  {name}: {state}{again}{silent}")
    if found.leftovers:
        lines.append(f"  WARNING: {leftovers_text(found.leftovers, '`consilium site stop`')}.")
    if found.receipts is None:
        lines.append("  receipts: NOT WHOLE; `consilium site receipts` says what is wrong")
    else:
        lines.append(
            f"  receipts: {found.receipts}" + (f", last {found.last_message}" if found.last_message else "")
        )
    return lines
