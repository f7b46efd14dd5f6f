"""How a coordinator is doing: its processes, its hospitals and its last run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from common.supervision_state import ServiceState, read_state
from server.control import connected
from server.enrolment import read_enrolled
from server.home import Home
from server.journal import FILE_NAME as JOURNAL
from server.journal import RunRecord, read_journal
from server.renewal import Expiry, expiry
from server.services import answers
from server.submission import last_folder, read_submission


class SiteStatus(BaseModel):
    """An enrolled hospital; `connected` is None where the SuperLink cannot be asked."""

    model_config = ConfigDict(frozen=True)

    name: str
    fingerprint: str
    node_id: int
    since: str
    connected: bool | None


class RunStatus(BaseModel):
    """A run by its folder's name; `status` is None until the first hospitals have answered."""

    model_config = ConfigDict(frozen=True)

    id: str
    status: str | None
    rounds: int


class Status(Expiry):
    """What `consilium coordinator status` tells."""

    address: str
    running: bool
    healthy: bool
    services: dict[str, ServiceState]
    sites: tuple[SiteStatus, ...]
    last_run: RunStatus | None


def status_of(home: Home) -> Status:
    """Ask the supervisor, the coordinator's own address and the SuperLink.

    Raises:
        InputError: if this is no coordinator's folder, or the SuperLink cannot be asked though it is healthy.
    """
    settings = home.settings()
    state = read_state(home.services)
    healthy = state is not None and answers(home, settings.port)
    online = connected(home) if healthy else None
    sites = tuple(
        SiteStatus(
            name=name,
            fingerprint=one.fingerprint,
            node_id=one.node_id,
            since=one.since,
            connected=None if online is None else one.node_id in online,
        )
        for name, one in sorted(read_enrolled(home.enrolled).items())
    )
    return Status(
        address=f"{settings.host}:{settings.port}",
        running=state is not None,
        healthy=healthy,
        **expiry(home).model_dump(),
        services={} if state is None else state.services,
        sites=sites,
        last_run=_last_run(home.runs),
    )


def text(status: Status) -> str:
    """The status for a person."""
    state = "healthy" if status.healthy else "not healthy" if status.running else "not running"
    lines = [
        f"{status.address}: {state}; certificate until {status.certificate_until}, "
        f"its authority until {status.authority_until}"
    ]
    lines += [f"  WARNING: {warning}." for warning in status.warnings]
    for name, service in status.services.items():
        process = "restarting" if service.pid is None else f"process {service.pid} since {service.started}"
        ended = "" if service.last_exit is None else f", last exit {service.last_exit}"
        lines.append(f"  {name}: {process}, {service.restarts} restarts{ended}")
    lines.append(f"{len(status.sites)} hospitals enrolled")
    words = {None: "unknown", True: "connected", False: "not connected"}
    lines += [
        f"  {site.name}: {words[site.connected]}, key {site.fingerprint}, since {site.since}"
        for site in status.sites
    ]
    if status.last_run is not None:
        run = status.last_run
        lines.append(f"last run {run.id}: {run.status or 'waiting'}, {run.rounds} rounds")
    return "\n".join(lines)


def _last_run(runs: Path) -> RunStatus | None:
    if (last := last_folder(runs)) is None:
        return None
    records = read_journal(last) if (last / JOURNAL).is_file() else []
    told = [record.status for record in records if isinstance(record, RunRecord)]
    submission = read_submission(last)
    ended = None if submission is None else submission.ended
    rounds = sum(record.record == "round" and record.kind == "train" for record in records)
    return RunStatus(id=last.name, status=ended or (told[-1] if told else None), rounds=rounds)
