"""A coordinator's folder with runs as their processes would have left them."""

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from server.dashboard.serving import application
from server.home.places import CoordinatorHome, create_home
from server.participants.countersignatures import write_countersignatures
from server.participants.enrolment import Enrolment, write_enrolled
from server.records.dropped import Dropped, DropReason
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord

ADDRESS = "http://127.0.0.1:9480"
SITES = ("east", "north", "<b>south</b>")
BEGUN = "2026-11-28T01:00:00+00:00"


def coordinator(folder: Path) -> CoordinatorHome:
    """A coordinator with three hospitals enrolled and no run."""
    home = create_home(folder, "hub.example.org", 9443, None)
    write_enrolled(
        home.enrolled,
        {
            site: Enrolment(fingerprint=f"SHA256:{site}", node_id=number, since=BEGUN)
            for number, site in enumerate(SITES)
        },
    )
    return home


def sha256(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def start(home: CoordinatorHome, name: str, ended: str | None = None) -> Path:
    """The folder of a run whose hospitals have sent their statistics."""
    out = home.runs / name
    shutil.copytree(home.agreement, out)
    write_countersignatures(home, out, {}, [])
    submission = {
        "id": name,
        "flower_run": 7,
        "digest": "d" * 64,
        "bundle": "b",
        "submitted": BEGUN,
        "ended": ended,
    }
    (out / "run.json").write_text(json.dumps(submission))
    write(out, record("started"))
    return out


def write(out: Path, *records: RunRecord | RoundRecord) -> None:
    with Journal(out) as journal:
        for one in records:
            journal.write(one)


def record(status: str, **fields: object) -> RunRecord:
    given: dict[str, object] = {
        "status": status,
        "federation": "study",
        "digest": "d" * 64,
        "strategy": "fedavg",
        "fold": -1,
        "seed": 0,
        "sites": SITES[:2],
        "left_out": (Dropped(site=SITES[2], reason=DropReason.REFUSED, code="not-approved"),),
        "statistics": {site: sha256(site) for site in SITES[:2]},
    }
    return RunRecord.model_validate(given | fields)


def exchange(number: int, *missing: str, **fields: object) -> RoundRecord:
    """A round in which some hospitals sent nothing."""
    given: dict[str, object] = {
        "kind": "train",
        "round": number,
        "seconds": 2.5,
        "training_loss": 2 / number,
        "validation_loss": 2.5 / number,
        "concordance": {"survival": 0.5 + number / 100},
        "sites": {
            site: SiteRecord(patients={"shared": 100.0}, metrics={}, sha256=sha256(site, number))
            for site in SITES[:2]
            if site not in missing
        },
        "dropped": tuple(Dropped(site=site, reason=DropReason.NO_REPLY) for site in missing),
        "applied": True,
    }
    return RoundRecord.model_validate(given | fields)


class Visitor:
    """Client of a dashboard in this process."""

    def __init__(self, home: CoordinatorHome, stopping: Callable[[], bool] = lambda: False) -> None:
        self._application = application(home, "127.0.0.1", stopping)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.request("GET", path, headers)

    def request(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._application)
            async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
                return await client.request(method, path, headers=headers)

        return asyncio.run(ask())
