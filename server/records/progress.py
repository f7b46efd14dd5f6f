"""Hospitals that a run waits for at this moment: `progress.json` in its folder."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from flwr.app import Message
from pydantic import BaseModel, ConfigDict, ValidationError

from common.files import write_whole

FILE_NAME = "progress.json"


Kind = Literal["statistics", "train", "evaluate", "assessment"]


class ExchangeProgress(BaseModel):
    """An exchange that is under way.

    Attributes:
        kind: what was asked.
        round: of training; 0 for statistics.
        asked: when, ISO 8601 in UTC.
        reported: site -> when it answered, in whatever way; None while it has not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    round: int
    asked: str
    reported: dict[str, str | None]


class ProgressFile:
    """Keeps a run's `progress.json`; the latest exchange replaces the one before.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path) -> None:
        self._path = out / FILE_NAME
        self._sites: dict[int, str] = {}
        self._now: ExchangeProgress | None = None

    def begin(self, kind: Kind, number: int, sites: Mapping[int, str]) -> None:
        """Nodes were asked; `sites` says for which site each speaks."""
        self._sites = dict(sites)
        reported = dict.fromkeys(sorted(sites.values()))
        self._replace(ExchangeProgress(kind=kind, round=number, asked=_time(), reported=reported))

    def heard(self, reply: Message) -> None:
        """A node has answered; an error that Flower made up in its place counts for nobody."""
        site = self._sites.get(reply.metadata.src_node_id)
        if site is not None and self._now is not None:
            reported = {**self._now.reported, site: _time()}
            self._replace(self._now.model_copy(update={"reported": reported}))

    def _replace(self, exchange: ExchangeProgress) -> None:
        self._now = exchange
        # not durable: one is written per reply, and a power cut ends the run anyway
        write_whole(self._path, exchange.model_dump_json(indent=2).encode() + b"\n", durable=False)


def read_progress(out: Path) -> ExchangeProgress | None:
    """The latest exchange of a run; None before its first, or where a power cut spoilt the file."""
    path = out / FILE_NAME
    try:
        return ExchangeProgress.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _time() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
