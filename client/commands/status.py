"""Command `consilium site status`: state of a site's services, agreement and receipts."""

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from client.ledger.account import read_entries
from client.ledger.asked import refusals_since_approval, runs_since_approval
from client.receipts.page import read_receipts
from client.runtime.loopback import supernode_answers
from client.runtime.services import SUPERNODE, state_file
from client.site_folder.apart import read_far
from client.site_folder.keys import read_public_key
from client.site_folder.places import Approval, Home, read_approval, read_connection
from client.site_folder.releases import read_adoptions
from client.site_folder.site_file import parse_site_file
from common.counting import counted
from common.errors import InputError, Refusal
from common.node_keys import fingerprint
from common.processes.supervision_state import ServiceState, leftovers, leftovers_text, read_state


class SiteStatus(BaseModel):
    """State of a site at one moment.

    Attributes:
        site: the hospital's name.
        fingerprint: of its node key.
        coordinator: HOST:PORT.
        federation: digest of what is approved; None if nothing is.
        release: version of the model in use; None if none is, or the record of releases cannot be read.
        approved_at: ISO 8601 in UTC.
        runs: of the file since it was approved; None if the ledger cannot be read.
        maximum_runs: of the file per approval.
        refusals: requests on the file that were refused since it was approved, and count; None as for the runs.
        maximum_refusals: of the file per approval.
        running: whether the supervisor runs.
        answering: whether the SuperNode's local port answers.
        services: of the supervisor.
        leftovers: service -> process, of what still runs though the supervisor was killed.
        receipts: how many messages left; None if the receipts are not whole.
        last_message: when the last one left, and its verdict.
        far: columns that lie far from other hospitals', as the last run told; None if that cannot be read.
    """

    model_config = ConfigDict(frozen=True)

    site: str
    fingerprint: str
    coordinator: str
    federation: str | None
    approved_at: str | None
    release: str | None = None
    runs: int | None
    maximum_runs: int
    refusals: int | None
    maximum_refusals: int
    running: bool
    answering: bool
    services: dict[str, ServiceState]
    leftovers: dict[str, int] = {}
    receipts: int | None
    last_message: str | None
    far: tuple[str, ...] | None = ()


def status(home: Home, answers: Callable[[Home, int], bool] = supernode_answers) -> SiteStatus:
    """Read the state of a site without asking the coordinator.

    Args:
        home: the site folder.
        answers: asks the SuperNode's local port for an answer.

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
    site = parse_site_file(home.folder)
    runs, refusals = _asked(home, approval)
    return SiteStatus(
        site=site.name,
        fingerprint=fingerprint(read_public_key(home.public_key)),
        coordinator=connection.coordinator,
        federation=None if approval is None else approval.federation,
        approved_at=None if approval is None else approval.at,
        release=_release(home),
        runs=runs,
        maximum_runs=site.policy.maximum_runs,
        refusals=refusals,
        maximum_refusals=site.policy.maximum_refusals,
        running=state is not None,
        answering=state is not None and answers(home, connection.port),
        services={} if state is None else state.services,
        leftovers=leftovers(state_file(home)),
        receipts=count,
        last_message=None if last is None else f"{last.at[:19]} {last.message} {last.verdict}",
        far=_far(home),
    )


def _far(home: Home) -> tuple[str, ...] | None:
    """Columns far from other hospitals'; None where the note cannot be read."""
    try:
        note = read_far(home)
    except InputError:
        return None
    return () if note is None else note.columns


def _release(home: Home) -> str | None:
    """Version of the release in use; None without one."""
    try:
        return read_adoptions(home).current
    except InputError:
        return None


def _asked(home: Home, approval: Approval | None) -> tuple[int | None, int | None]:
    """Count (runs, refused requests) since the approval; None where the ledger cannot be read."""
    try:
        entries = read_entries(home.folder)
    except (InputError, Refusal):
        return None, None
    digest = "" if approval is None else approval.federation
    return len(runs_since_approval(entries, digest)), refusals_since_approval(entries, digest)


def _counted_runs(status: SiteStatus) -> str:
    if status.runs is None:
        return "NOT KNOWN; `consilium site ledger` says what is wrong"
    return f"{status.runs} of {status.maximum_runs} that policy.maximum_runs allows per approval"


def status_lines(status: SiteStatus) -> list[str]:
    """Write a status as lines."""
    approved = (
        f"{status.federation[:10]}, approved {status.approved_at}"
        if status.federation
        else "nothing approved"
    )
    lines = [
        f"{status.site}: {'running' if status.running else 'not running'}, node key {status.fingerprint}",
        f"  coordinator {status.coordinator}",
        f"  federation {approved}",
    ]
    if status.federation:
        lines.append(f"  runs of it: {_counted_runs(status)}")
        if status.refusals:
            lines.append(
                f"  refused requests: {status.refusals} of {status.maximum_refusals} that policy.maximum_refusals "
                "allows per approval; the site's log says why"
            )
    if status.release:
        lines.append(f"  model in use: {status.release}")
    for name, service in status.services.items():
        state = (
            f"process {service.pid}" if service.pid else f"ended with {service.last_exit}, starts again soon"
        )
        again = f", {counted(service.restarts, 'restart')}" if service.restarts else ""
        silent = ", its port does not answer yet" if name == SUPERNODE and not status.answering else ""
        lines.append(f"  {name}: {state}{again}{silent}")
    if status.leftovers:
        lines.append(f"  WARNING: {leftovers_text(status.leftovers, '`consilium site stop`')}.")
    if status.receipts is None:
        lines.append("  receipts: NOT WHOLE; `consilium site receipts` says what is wrong")
    else:
        lines.append(
            f"  receipts: {status.receipts}"
            + (f", last {status.last_message}" if status.last_message else "")
        )
    lines += [
        f"  WARNING: far from the other hospitals, by the last run's sums: {column}; check the unit with "
        "`consilium site profile`"
        for column in status.far or ()
    ]
    return lines
