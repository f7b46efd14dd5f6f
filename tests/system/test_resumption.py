"""Runs that are killed between any two steps of the coordinator, with hospitals that live on.

The hospitals are real site folders, answered one after another in this process: their ledgers, residuals and kept
replies stay as they are when the coordinator's part is killed. What a resumed run ends with has to be what an
undisturbed one ends with, to the bit, and so has what the hospitals' ledgers say.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from flwr.app import Message

from client.ledger.ledger import Ledger
from client.privacy.randomness import SecretRandom
from client.rounds.assembly import close_sites
from client.site_folder.site_key import KEY, SIZE
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.privacy_settings import Privacy
from common.files import write_whole
from common.privacy.accounting import spend
from common.privacy.planning import with_privacy
from server.app import server_app
from server.records import result
from server.records.journal import RoundRecord, RunRecord, read_journal
from server.records.result import WEIGHTS
from server.runs import assembly, coordination
from server.runs.run_checkpoint import RunCheckpoint
from server.runs.state import RunState
from simulations.engines.in_process import run_in_process
from simulations.engines.node import NodeConfig
from simulations.experiment.arms import CLIENT_APP

SmallCohort = Callable[..., Path]
PRIVACY = Privacy(noise_multiplier=6.0, sampling_rate=0.5, expected_batch_size=6)


class Killed(BaseException):
    """The coordinator's process is gone."""


@dataclass
class Boundaries:
    """Places at which the coordinator can be killed, counted as they are passed.

    Attributes:
        kill_at: number of the place, from 1; 0 kills nowhere.
        passed: names of the places so far.
    """

    kill_at: int = 0
    passed: list[str] = field(default_factory=list)

    def at(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self.kill_at:
            raise Killed(name)

    def replies(self, exchange: Callable[..., Iterator[Message]]) -> Callable[..., Iterator[Message]]:
        """Every request is sent, and the process may be killed before and after each reply."""

        def cut(*arguments: Any, **named: Any) -> Iterator[Message]:
            self.at("requests")
            for reply in list(exchange(*arguments, **named)):  # the hospitals answer whatever becomes of us
                yield reply
                self.at("reply")
            self.at("replies")

        return cut


class Kept(RunCheckpoint):
    """A checkpoint with a place to be killed at before and after each writing."""

    def __init__(self, out: Path, boundaries: Boundaries) -> None:
        super().__init__(out)
        self._boundaries = boundaries

    def write(self, state: RunState) -> str | None:
        self._boundaries.at("averaged")
        anchor = super().write(state)
        self._boundaries.at("written")
        return anchor


def hospitals(cohort: Path, count: int = 2) -> list[Path]:
    """Make the cohort's first hospitals those of a deployment; one run is all that they approved."""
    folders = [cohort / f"hospital-{number}" for number in range(1, count + 1)]
    for folder in folders:
        file = folder / "site.toml"
        lines = [line for line in file.read_text().splitlines() if not line.startswith("fold")]
        file.write_text("\n".join([*lines, "[policy]", "maximum_runs = 1", "minimum_cohort = 2", ""]))
        write_whole(
            folder / KEY, folder.name.encode().ljust(SIZE), 0o600
        )  # the noise of losses follows from it
    return folders


def agree(cohort: Path, settings: dict[str, str], private: bool) -> Federation:
    federation = load(cohort / FILE_NAME)
    federation = federation.model_copy(update={"participants": federation.participants[:2]})
    federation = federation.changed(
        {"training.rounds": "3", "training.patience": "9", "training.linear_rounds": "0", **settings}
    )
    federation = with_privacy(federation, PRIVACY) if private else federation
    save(federation, cohort / FILE_NAME)
    return federation


@pytest.fixture(autouse=True)
def _secrets_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secret random numbers are drawn anew for every use; here the n-th use has those of n."""
    uses: dict[str, Iterator[int]] = {"now": itertools.count(1)}

    def begin(stream: SecretRandom) -> None:
        cipher = algorithms.ChaCha20(next(uses["now"]).to_bytes(32, "big"), bytes(16))
        stream._keystream = Cipher(cipher, mode=None).encryptor()

    monkeypatch.setattr(SecretRandom, "__init__", begin)
    monkeypatch.setattr(SecretRandom, "uses", uses, raising=False)


def coordinate(cohort: Path, sites: list[Path], out: Path, boundaries: Boundaries) -> None:
    nodes: list[NodeConfig] = [
        {"site": str(site), "federation": str(cohort / FILE_NAME), "sharing": 1} for site in sites
    ]
    config: dict[str, bool | float | int | str] = {
        "federation": str(cohort / FILE_NAME),
        "out": str(out),
        "name": "20270101-120000",
    }
    with pytest.MonkeyPatch.context() as patch:
        for module in (assembly, coordination):
            patch.setattr(module, "exchange", boundaries.replies(module.exchange))
        saved = result.save_result

        def save_result(*arguments: Any) -> None:
            boundaries.at("trained")
            saved(*arguments)
            boundaries.at("saved")

        patch.setattr(coordination, "save_result", save_result)
        try:
            run_in_process(server_app(None, Kept(out, boundaries)), CLIENT_APP, nodes, config, "serial")
        finally:
            close_sites()


def ledger(site: Path) -> list[tuple[object, ...]]:
    with Ledger(site) as opened:
        return [
            (entry.kind, entry.round, entry.releases, entry.reservation, entry.question)
            for entry in opened.entries()
        ]


def spent(sites: Iterable[Path]) -> list[float]:
    accounts = []
    for site in sites:
        with Ledger(site) as opened:
            accounts.append(spend(opened.releases(), 1e-3).epsilon)
    return accounts


@dataclass(frozen=True)
class End:
    """End of a run: its weights, its journal and the hospitals' ledgers."""

    weights: bytes
    rounds: list[dict[str, Any]]
    status: str
    ledgers: list[list[tuple[object, ...]]]
    epsilons: list[float]


def run(
    folder: Path, small_cohort: SmallCohort, settings: dict[str, str], kill_at: int
) -> tuple[End, list[str]]:
    """Run to the end; killed at a place, the run is resumed by a new process."""
    private = settings.pop("private", "") == "yes"
    cohort = small_cohort(folder)
    sites = hospitals(cohort)
    federation = agree(cohort, settings, private)
    SecretRandom.uses["now"] = itertools.count(1)  # type: ignore[attr-defined]
    out, boundaries = folder / "out", Boundaries(kill_at)
    try:
        coordinate(cohort, sites, out, boundaries)
    except Killed:
        coordinate(cohort, sites, out, Boundaries())
    records = read_journal(out)
    ended = records[-1]
    assert isinstance(ended, RunRecord)
    return (
        End(
            (out / WEIGHTS).read_bytes(),
            [record.model_dump(exclude={"seconds"}) for record in records if isinstance(record, RoundRecord)],
            ended.status,
            [ledger(site) for site in sites],
            spent(sites) if federation.privacy is not None else [],
        ),
        boundaries.passed,
    )


WAYS = {
    "fedavg": {},
    "fedadam": {"training.strategy": "fedadam"},
    "int8": {"wire.update": "int8"},
    "top-k": {"wire.update": "top-k", "wire.share": "0.25"},
    "private": {"private": "yes"},
    "private int8": {"private": "yes", "wire.update": "int8"},
}


@pytest.fixture
def cohorts(cohort_in: Callable[..., SmallCohort], tmp_path: Path) -> SmallCohort:
    def write(folder: Path) -> Path:
        folder.mkdir()
        return cohort_in(folder)()

    return write


def test_a_killed_coordinator_goes_on_and_nothing_is_trained_or_paid_twice(
    cohorts: SmallCohort, tmp_path: Path
) -> None:
    whole, places = run(tmp_path / "whole", cohorts, {"private": "yes"}, 0)
    at = places.index("averaged", places.index("written") + 1) + 1  # after the first round's replies
    resumed, _ = run(tmp_path / "resumed", cohorts, {"private": "yes"}, at)
    assert whole.status == "completed"
    assert whole.epsilons == resumed.epsilons
    assert min(whole.epsilons) > 0
    assert resumed == whole


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_place_a_run_ends_as_undisturbed(
    cohorts: SmallCohort, tmp_path: Path, way: str
) -> None:
    whole, places = run(tmp_path / "whole", cohorts, dict(WAYS[way]), 0)
    assert whole.status == "completed"
    assert np.frombuffer(whole.weights, np.uint8).any()
    for number, place in enumerate(places, start=1):
        resumed, _ = run(tmp_path / f"at-{number}", cohorts, dict(WAYS[way]), number)
        assert resumed == whole, f"killed at {place}, place {number} of {len(places)}"
