"""Status of a coordinator: its processes, its hospitals and its last run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from common.counting import counted
from common.errors import RefusalCode
from common.processes.supervision_state import ServiceState, leftovers, leftovers_text, read_state
from server.commands.follow import resume_command, state_of
from server.commands.renew import Expiry, expiry
from server.home.places import CoordinatorHome
from server.participants.enrolment import read_enrolled
from server.records.apart import Apart, apart_lines
from server.records.dropped import DropReason
from server.records.history import RunHistory
from server.records.journal import RunRecord
from server.records.progress import read_progress
from server.records.submission import last_folder, read_submission
from server.services.processes import is_healthy
from server.services.superlink import connected

NOT_APPROVED = frozenset(
    {
        RefusalCode.NOT_APPROVED,
        RefusalCode.FEDERATION_MISMATCH,
        RefusalCode.BUNDLE_FOREIGN,
        RefusalCode.VERSION_MISMATCH,
        RefusalCode.CODE_CHANGED,
    }
)
"""Codes of a hospital that has approved something else, or with another version of the package, or nothing."""


RESUMABLE = ("interrupted", "cancelled", "failed")
"""Progress of a run that can be resumed."""


_WORDS = {
    "statistics": "statistics",
    "train": "training",
    "evaluate": "evaluation",
    "assessment": "assessment",
}


class HospitalStatus(BaseModel):
    """An enrolled hospital.

    Attributes:
        name: as in the federation file.
        fingerprint: of its key.
        node_id: as Flower knows it.
        since: when it was enrolled.
        connected: None where the SuperLink cannot be asked.
        connected_since: when it came, if it is connected.
        approved: whether it has approved the last run's federation file, by its answer; None while it has not answered.
        doing: in a run that goes on: what it was asked and has not answered, or `reported`.
        doing_since: when that began.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    fingerprint: str
    node_id: int
    since: str
    connected: bool | None
    connected_since: str | None = None
    approved: bool | None = None
    doing: Literal["statistics", "training", "evaluation", "reported"] | None = None
    doing_since: str | None = None


class RunStatus(BaseModel):
    """A run by the name of its folder.

    Attributes:
        id: its name.
        status: None until the first hospitals have answered; `interrupted` or `cancelled` where it can be resumed.
        rounds: of training so far.
        digest: of the federation file.
        apart: columns and follow-up of hospitals that lie far from those of others.
        resume: command that goes on with a run that was interrupted or cancelled; None for any other.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    status: str | None
    rounds: int
    digest: str | None = None
    apart: tuple[Apart, ...] = ()
    resume: str | None = None


class Status(Expiry):
    """Content of `consilium coordinator status`.

    `leftovers` are services, with their processes, that still run though the supervisor was killed.
    """

    address: str
    running: bool
    healthy: bool
    services: dict[str, ServiceState]
    leftovers: dict[str, int]
    sites: tuple[HospitalStatus, ...]
    last_run: RunStatus | None


def status_of(home: CoordinatorHome, histories: Callable[[Path], RunHistory] | None = None) -> Status:
    """Ask the supervisor, the coordinator's own address and the SuperLink.

    Args:
        home: the coordinator's folder.
        histories: gives the course of a run by its folder; without it, the last run's journal is read from its start.

    Raises:
        InputError: if this is no coordinator's folder, or the SuperLink cannot be asked though it is healthy.
    """
    settings = home.settings()
    state = read_state(home.services)
    healthy = state is not None and is_healthy(home, settings.port)
    online = connected(home) if healthy else None
    last = last_folder(home.runs)
    history = None if last is None else (histories or whole_history)(last)
    run = None if last is None or history is None else run_status(last, history)
    latest = None if history is None else history.last
    sites = tuple(
        HospitalStatus(
            name=name,
            fingerprint=enrolment.fingerprint,
            node_id=enrolment.node_id,
            since=enrolment.since,
            connected=None if online is None else enrolment.node_id in online,
            connected_since=None if online is None else online.get(enrolment.node_id),
            approved=None if latest is None else _approved(name, latest),
            **_doing(name, last, run),
        )
        for name, enrolment in sorted(read_enrolled(home.enrolled).items())
    )
    return Status(
        address=settings.address,
        running=state is not None,
        healthy=healthy,
        **expiry(home).model_dump(),
        services={} if state is None else state.services,
        leftovers=leftovers(home.services),
        sites=sites,
        last_run=run,
    )


def status_text(status: Status) -> str:
    """The status for a person."""
    state = "healthy" if status.healthy else "not healthy" if status.running else "not running"
    lines = [
        f"{status.address}: {state}; certificate until {status.certificate_until}, "
        f"its authority until {status.authority_until}"
    ]
    lines += [f"  WARNING: {warning}." for warning in status.warnings]
    if status.leftovers:
        lines.append(
            f"  WARNING: {leftovers_text(status.leftovers, '`consilium coordinator stop`')}; "
            "`consilium coordinator start` does so too."
        )
    for name, service in status.services.items():
        process = "restarting" if service.pid is None else f"process {service.pid} since {service.started}"
        ended = "" if service.last_exit is None else f", last exit {service.last_exit}"
        lines.append(f"  {name}: {process}, {counted(service.restarts, 'restart')}{ended}")
    lines.append(f"{counted(len(status.sites), 'hospital')} enrolled")
    for site in status.sites:
        lines += [f"  {site.name}: {_told(site)}", f"    key {site.fingerprint}, enrolled since {site.since}"]
    if status.last_run is not None:
        run = status.last_run
        lines.append(f"last run {run.id}: {run.status or 'waiting'}, {counted(run.rounds, 'round')}")
        lines += apart_lines(run.apart)
        if run.resume is not None:
            lines.append(f"  go on with it by `{run.resume}`")
    return "\n".join(lines)


def _told(site: HospitalStatus) -> str:
    """Describe a hospital in a line."""
    words = {None: "unknown", True: "connected", False: "not connected"}
    parts = [words[site.connected] + (f" since {site.connected_since}" if site.connected_since else "")]
    if site.approved is not None:
        parts.append(f"has {'' if site.approved else 'not '}approved the last run's federation file")
    if site.doing is not None:
        parts.append(f"{site.doing} since {site.doing_since}")
    return ", ".join(parts)


def whole_history(out: Path) -> RunHistory:
    """Read the whole journal of a run.

    Raises:
        InputError: if it is damaged.
    """
    history = RunHistory(out)
    history.read()
    return history


def run_status(out: Path, history: RunHistory) -> RunStatus:
    """Say how far a run is, by its folder and its journal."""
    submission = read_submission(out)
    state = state_of(out, history.last, submission)
    return RunStatus(
        id=out.name,
        status=None if state == "waiting" else state,
        rounds=history.trained,
        digest=None if submission is None else submission.digest,
        apart=() if history.last is None else history.last.apart,
        resume=None if state not in RESUMABLE else resume_command(CoordinatorHome(out.parents[1]), out.name),
    )


def _approved(site: str, run: RunRecord) -> bool | None:
    """Say what a hospital's first answer in a run shows of its approval."""
    if site in run.sites:
        return True
    codes = {
        hospital.code
        for hospital in run.left_out
        if hospital.site == site and hospital.reason == DropReason.REFUSED
    }
    if not codes:
        return None
    return not codes & NOT_APPROVED


def _doing(site: str, out: Path | None, run: RunStatus | None) -> dict[str, Any]:
    """Say what a hospital does in a run that goes on, and since when."""
    if out is None or run is None or run.status not in (None, "started"):
        return {}
    progress = read_progress(out)
    if progress is None or site not in progress.reported:
        return {}
    if (reported := progress.reported[site]) is not None:
        return {"doing": "reported", "doing_since": reported}
    return {"doing": _WORDS[progress.kind], "doing_since": progress.asked}
