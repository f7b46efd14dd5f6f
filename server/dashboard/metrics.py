"""Figures of a coordinator for Prometheus, which asks for them at `/metrics`."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from server.commands.runs import RunSummary
from server.commands.status import Status
from server.dashboard.watch import RunView

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics(status: Status | None, runs: Sequence[RunSummary], latest: RunView | None, names: bool) -> bytes:
    """Write the figures in Prometheus' text format.

    Args:
        status: of the coordinator; None where it cannot be told, and its figures are absent.
        runs: all runs.
        latest: the latest of them.
        names: whether hospitals are named.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(status, runs, latest, names))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(
        self, status: Status | None, runs: Sequence[RunSummary], latest: RunView | None, names: bool
    ) -> None:
        self._status, self._runs, self._latest, self._names = status, runs, latest, names

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """List the figures."""
        if self._status is not None:
            yield from _of_status(self._status, self._names)
        by_state = GaugeMetricFamily("consilium_runs", "Runs by their state.", labels=("state",))
        states = [run.state or "waiting" for run in self._runs]
        for state in sorted(set(states)):
            by_state.add_metric((state,), states.count(state))
        yield by_state
        if self._latest is not None:
            yield from _of_run(self._latest)


def _of_status(status: Status, names: bool) -> Iterator[GaugeMetricFamily]:
    yield _gauge("coordinator_healthy", "Whether the coordinator answers hospitals.", status.healthy)
    until = datetime.fromisoformat(status.certificate_until).replace(tzinfo=UTC).timestamp()
    yield _gauge("certificate_until_seconds", "End of the coordinator's certificate.", until)
    yield _gauge("hospitals_enrolled", "Hospitals enrolled.", len(status.sites))
    if any(site.connected is not None for site in status.sites):
        yield _gauge(
            "hospitals_connected", "Hospitals connected.", sum(bool(site.connected) for site in status.sites)
        )
    if names:
        connected = GaugeMetricFamily(
            "consilium_hospital_connected", "Whether a hospital is connected.", labels=("hospital",)
        )
        for site in status.sites:
            if site.connected is not None:
                connected.add_metric((site.name,), float(site.connected))
        yield connected


def _of_run(view: RunView) -> Iterator[GaugeMetricFamily]:
    run, history = view.summary, view.history
    about = GaugeMetricFamily(
        "consilium_run", "The latest run: 1 while it goes on.", labels=("run", "federation", "state")
    )
    about.add_metric((run.id, run.federation or "", run.state or "waiting"), float(run.goes_on))
    yield about
    yield _gauge("run_rounds", "Rounds of training of the latest run.", run.rounds)
    if not history.rounds:
        return
    last = history.rounds[-1]
    yield _gauge("run_round_seconds", "Seconds of the last exchange.", last.seconds)
    sites = () if history.last is None else history.last.sites
    missing = {dropped.site for dropped in last.dropped} & set(sites)
    yield _gauge("run_hospitals", "Hospitals with a part in the last exchange.", len(sites) - len(missing))
    yield _gauge("run_hospitals_missing", "Hospitals without a part in it.", len(missing))
    yield _gauge("run_exchange_counted", "Whether a quorum replied in it.", last.applied)
    for name, value in (("training_loss", last.training_loss), ("validation_loss", last.validation_loss)):
        if value is not None and math.isfinite(value):
            yield _gauge(f"run_{name}", f"{name.replace('_', ' ').capitalize()} of the last exchange.", value)
    concordance = GaugeMetricFamily(
        "consilium_run_concordance", "Concordance on validation patients.", labels=("task",)
    )
    for task, value in last.concordance.items():
        concordance.add_metric((task,), value)
    yield concordance


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"consilium_{name}", text, value=float(value))
