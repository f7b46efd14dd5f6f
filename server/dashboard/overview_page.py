"""Overview of a coordinator: its services, its hospitals and its runs."""

from collections.abc import Sequence

from markupsafe import Markup

from common.counting import counted
from common.pages.document import PageSection
from common.pages.parts import bullets, facts, joined, note, paragraph
from common.pages.table import PageTable, TableCell, table
from common.processes.supervision_state import leftovers_text
from server.commands.runs import RunSummary
from server.commands.status import HospitalStatus, Status
from server.dashboard.frame import framed, link, moment, shortened, with_code
from server.dashboard.run_page import course, run_address
from server.dashboard.watch import RunView

MOST_RUNS = 200
"""Rows of the table of runs; `consilium coordinator status` and the folder have the others."""


def overview(
    status: Status | None, trouble: str | None, runs: Sequence[RunSummary], latest: RunView | None, mark: str
) -> str:
    """Write the overview.

    Args:
        status: of the coordinator; None where it cannot be told.
        trouble: why it cannot.
        runs: the latest first.
        latest: view of the latest run; None if there is none.
        mark: of the state.
    """
    notes: list[str | Markup] = [] if trouble is None else [note(with_code(trouble), "danger", "Trouble.")]
    sections = []
    if status is not None:
        sections += [
            PageSection("Coordinator", _coordinator(status), "coordinator"),
            PageSection("Hospitals", _hospitals(status.sites), "hospitals"),
        ]
    if latest is not None:
        title = "Run under way" if latest.summary.goes_on else "Latest run"
        more = paragraph(link(run_address(latest.summary.id), "Receipts, absences and reports of this run"))
        sections.append(PageSection(title, [*course(latest), more], "latest"))
    sections.append(PageSection("Runs", _runs(runs), "runs"))
    kind = "Consilium coordinator" if status is None else f"Consilium coordinator {status.address}"
    return framed("Federation at a glance", sections, kind=kind, mark=mark, notes=notes)


def _coordinator(status: Status) -> list[str | Markup]:
    state = "healthy" if status.healthy else "not healthy" if status.running else "not running"
    parts: list[str | Markup] = []
    if not status.running:
        parts.append(
            note(with_code("It does not run: `consilium coordinator start` starts it."), "danger", "Down.")
        )
    parts += [note(with_code(f"{warning}."), "warning") for warning in status.warnings]
    if status.leftovers:
        stopped = leftovers_text(status.leftovers, "`consilium coordinator stop`")
        parts.append(note(with_code(f"{stopped[0].upper()}{stopped[1:]}."), "warning"))
    parts.append(
        facts(
            {
                "Address": status.address,
                "State": state,
                "Certificate until": status.certificate_until,
                "Authority until": status.authority_until,
            }
        )
    )
    lines = []
    for name, service in status.services.items():
        process = "restarting" if service.pid is None else f"since {moment(service.started)}"
        ended = "" if service.last_exit is None else f", last exit {service.last_exit}"
        lines.append(f"{name}: {process}, {counted(service.restarts, 'restart')}{ended}")
    return [*parts, bullets(lines)]


def _hospitals(sites: Sequence[HospitalStatus]) -> list[str | Markup]:
    if not sites:
        return [paragraph(with_code("No hospital is enrolled: `consilium coordinator enrol` enrols one."))]
    there = sum(site.connected is True for site in sites)
    is_asked = any(site.connected is not None for site in sites)
    connected = f"{there} of {len(sites)} connected." if is_asked else "Who is connected is not known."
    heads = ("Hospital", "Connection", "Latest federation file", "Now", "Enrolled", "Key")
    rows = [
        (
            site.name,
            _connection(site),
            _approval(site.approved),
            "" if site.doing is None else f"{site.doing} since {moment(site.doing_since)}",
            moment(site.since),
            shortened(site.fingerprint, 20),
        )
        for site in sites
    ]
    warned = {
        index: "warning"
        for index, site in enumerate(sites)
        if site.connected is False or site.approved is False
    }
    caption = f"{counted(len(sites), 'hospital')} enrolled. {connected} Times are in UTC."
    content = PageTable(
        heads,
        rows,
        caption,
        name="hospitals",
        words=frozenset((1, 3)),
        warned=dict.fromkeys(warned, "warning"),
    )
    return [table(content)]


def _connection(site: HospitalStatus) -> str:
    words = {None: "not known", True: "connected", False: "not connected"}[site.connected]
    return words if site.connected_since is None else f"{words} since {moment(site.connected_since)}"


def _approval(approved: bool | None) -> str:
    return {None: "has not answered", True: "approved", False: "not approved"}[approved]


def _runs(runs: Sequence[RunSummary]) -> list[str | Markup]:
    if not runs:
        return [paragraph(with_code("There is no run yet: `consilium coordinator run` begins one."))]
    heads = (
        "Run",
        "State",
        "Federation",
        "Rounds",
        "Hospitals",
        "Kept round",
        "Validation loss",
        "Begun",
        "Ended",
    )
    rows = [
        (
            TableCell(link(run_address(run.id), run.id), run.id),
            run.state or "waiting",
            run.federation,
            str(run.rounds),
            str(run.hospitals),
            None if run.best_round is None else str(run.best_round),
            None if run.best_loss is None else TableCell(f"{run.best_loss:.4g}", run.best_loss),
            moment(run.begun),
            moment(run.ended),
        )
        for run in runs[:MOST_RUNS]
    ]
    bad = {index for index, run in enumerate(runs[:MOST_RUNS]) if _is_cut_short(run)}
    caption = f"{counted(len(runs), 'run')}, the latest first. Times are in UTC."
    if len(runs) > MOST_RUNS:
        caption += f" The {MOST_RUNS} latest are listed."
    content = PageTable(heads, rows, caption, name="runs", warned=dict.fromkeys(bad, "warning"))
    return [joined([table(content)])]


def _is_cut_short(run: RunSummary) -> bool:
    return not run.goes_on and run.state != "completed"
