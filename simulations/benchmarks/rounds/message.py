"""Benchmark `message`: time of one message at a hospital, which starts a process for each.

A site folder is made as a hospital makes it, and its launcher is started again and again with the request of one round:
first without a cache of its tables, then with the cache of an earlier message.
"""

import hashlib
import json
import re
import resource
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from flwr.app import Message

from client.commands.approve import approve, read_proposal
from client.data.inspection import read_cohort
from client.runtime.services import inherited
from client.site_folder.keys import new_key
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Home
from client.site_folder.site_key import KEY
from common.agreement.bundle import PACKAGE, bundle_files
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.privacy_settings import Privacy
from common.messages.exchange import ModelRequest
from common.models.registry import build_model
from common.patients.preprocessing import combine, declared, pack_preprocessing, site_statistics
from common.privacy.planning import with_privacy
from common.processes.program import PROGRAM
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.benchmarks.rounds.message_process import (
    APP_IMPORTS,
    APP_PARTS,
    BUNDLE,
    IMPORTS,
    INDEX,
    OTHER,
    PARTS,
    SECONDS,
    START,
    UNTIMED,
    UNTIMED_CPU,
)
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import default_data, write_cohort
from simulations.engines.environment import environment_set
from simulations.engines.flower_internals import (
    acting_as_coordinator,
    build_bundle,
    deflate,
    name_message,
    new_run,
)
from simulations.results.machine import Record
from simulations.work_folder import work_folder

COLUMNS = (START, IMPORTS, *PARTS, OTHER, APP_IMPORTS, *APP_PARTS)


PRIVACY = Privacy(noise_multiplier=1.1, sampling_rate=0.1, expected_batch_size=32)


NODE = 41


PACKAGES = 12
"""Number of packages with a row in the table; the others are added up."""


class MessageCost(Record):
    """Median seconds of one kind of message, by part and until the process has ended.

    Attributes:
        cohort: cohort whose largest hospital answers.
        patients: number of patients of that hospital.
        private: whether the message is under differential privacy.
        kept: whether the process of an earlier message has left its cache.
        seconds: part -> median wall-clock seconds; the app's parts pass beside those of the gate's process.
        total: seconds from the start of the process to its end.
        cpu: processor seconds of both processes, which other work on the machine changes less.
    """

    cohort: str
    patients: int
    private: bool
    kept: bool
    seconds: dict[str, float]
    total: float
    cpu: float


class MessageFigures(Figures):
    """Times of all kinds of messages, and of imported packages.

    Attributes:
        repeats: number of processes for a kind of message.
        packages: package -> seconds in its own modules, without and with privacy, by `python -X importtime`.
    """

    repeats: int
    costs: tuple[MessageCost, ...]
    packages: dict[str, tuple[float, float]]


def run_message(cohorts: Sequence[str], data: Path | None, repeats: int, out: Path | None) -> MessageFigures:
    """Measure a round's message at the cohorts' largest hospitals, without and with privacy.

    Raises:
        InputError: if a cohort's data are not there.
    """
    costs: list[MessageCost] = []
    imports: list[dict[str, float]] = []
    for cohort in cohorts:
        for private in (False, True):
            with work_folder() as folder:
                asked = AskedHospital(cohort, data or default_data(), private, folder)
                asked.warm_up()
                costs += [asked.cost(kept, repeats) for kept in (False, True)]
                if cohort == cohorts[0]:
                    imports.append(asked.packages())
    packages = {
        name: (imports[0].get(name, 0.0), imports[1].get(name, 0.0)) for name in imports[0] | imports[1]
    }
    measured = MessageFigures(repeats=repeats, costs=tuple(costs), packages=packages)
    measured.write(out)
    return measured


class AskedHospital:
    """Hospital that has approved a federation, and the request of its first round.

    Args:
        cohort: name of the cohort, whose largest hospital is taken.
        data: folder of public data.
        private: whether the federation is under differential privacy.
        folder: empty folder for all files.
    """

    def __init__(self, cohort: str, data: Path | None, private: bool, folder: Path) -> None:
        self.cohort, self.private, self._folder = cohort, private, folder
        proposal = folder / "cohort"
        write_cohort(cohort, data, proposal)
        federation = load(proposal / FILE_NAME).changed({"training.linear_rounds": "0"})
        if private:
            federation = with_privacy(federation, PRIVACY)
        save(federation, proposal / FILE_NAME)
        sites = {site: read_cohort(site, federation) for site in find_sites(proposal)}
        site = max(sites, key=lambda folder: len(sites[folder].batch))
        self.patients = len(sites[site].batch)
        with environment_set({STATE_VARIABLE: str(folder / "state")}):
            self.home = _made_ready(site, proposal)
        batch = sites[site].batch
        preprocessing = (
            declared(federation) if private else combine([site_statistics(batch, federation)], federation)
        )
        state = build_model(federation, proposal, seed=0).state_dict()
        self._write(
            federation,
            ModelRequest(
                federation=federation.digest,
                round=1,
                fold=-1,
                seed=0,
                weights={name: tensor.numpy() for name, tensor in state.items()},
                preprocessing=pack_preprocessing(preprocessing),
            ),
        )

    def _write(self, federation: Federation, request: ModelRequest) -> None:
        run = new_run({})
        with acting_as_coordinator(run):
            message = Message(request.to_record(), NODE, "train")
            name_message(message, "1")
            message_id, root, objects = deflate(message)
        bundle = build_bundle(bundle_files(federation))
        folder = self._folder / "request"
        folder.mkdir()
        for name, content in (objects | {BUNDLE: bundle}).items():
            (folder / name).write_bytes(content)
        index = {
            "message": message_id,
            "root": root,
            "objects": sorted(objects),
            "bundle": hashlib.sha256(bundle).hexdigest(),
            "version": version(PACKAGE),
        }
        (folder / INDEX).write_text(json.dumps(index))

    def warm_up(self) -> None:
        """Answer once, so that all files are in the system's cache and the site's tables in its own."""
        self._answer()

    def cost(self, kept: bool, repeats: int) -> MessageCost:
        """Measure `repeats` processes; one that needs the tables kept comes after any other."""
        answers: list[MeasuredMessage] = []
        for _ in range(repeats):
            if not kept:
                shutil.rmtree(self.home.cache, ignore_errors=True)
            answers.append(self._answer())
        return MessageCost(
            cohort=self.cohort,
            patients=self.patients,
            private=self.private,
            kept=kept,
            seconds={name: median(answer.seconds.get(name, 0.0) for answer in answers) for name in COLUMNS},
            total=median(answer.total for answer in answers),
            cpu=median(answer.cpu for answer in answers),
        )

    def packages(self) -> dict[str, float]:
        """Package -> seconds in its own modules while the app's process imported them."""
        spent: Counter[str] = Counter()
        answer = self._answer(PYTHONPROFILEIMPORTTIME="1")
        for microseconds, module in re.findall(
            r"^import time: +(\d+) \| +\d+ \| +([^.\n]+)", answer.stderr, re.MULTILINE
        ):
            spent[module] += int(microseconds)
        return {name: microseconds / 1e6 for name, microseconds in spent.items()}

    def _answer(self, **variables: str) -> "MeasuredMessage":
        """Answer the request by the two processes of a message, at a site of which nothing has left."""
        for name in ("ledger", "receipts", "records"):
            for path in (self.home.folder / name).glob("*"):
                if path != self.home.folder / KEY:  # without it the cache would count as another site's
                    path.unlink()
        with TemporaryDirectory(dir=self._folder) as state:
            environment = {**inherited(self.home), **variables, STATE_VARIABLE: state}
            module = "simulations.benchmarks.rounds.message_process"
            command = [*PROGRAM, module]
            begun, before = time.monotonic(), _children_cpu()
            ended = subprocess.run(
                [*command, str(self.home.folder), str(self._folder / "request"), str(begun)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            total, cpu = time.monotonic() - begun, _children_cpu() - before
        if ended.returncode:
            raise RuntimeError(f"the message's process failed: {ended.stderr.strip()[-2000:]}")
        seconds: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
        app = next(line for line in ended.stderr.splitlines() if line.startswith(SECONDS))
        parts: dict[str, float] = json.loads(app.removeprefix(SECONDS))
        seconds |= {part: parts[part] for part in (APP_IMPORTS, *APP_PARTS) if part in parts}
        return MeasuredMessage(
            seconds, total - seconds.pop(UNTIMED), cpu - seconds.pop(UNTIMED_CPU), ended.stderr
        )


@dataclass(frozen=True)
class MeasuredMessage:
    """Seconds by part, in all and of the processor, and the standard error of a process."""

    seconds: dict[str, float]
    total: float
    cpu: float
    stderr: str


def _children_cpu() -> float:
    """Processor seconds of all ended child processes."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _made_ready(site: Path, proposal: Path) -> Home:
    """Prepare a site folder up to `site start`: node key and approved federation file."""
    home = Home(site.resolve())
    private, public = new_key()
    home.key.parent.mkdir(mode=0o700)
    for path, content in ((home.key, private), (home.public_key, public)):
        path.write_bytes(content)
    home.key.chmod(0o600)
    home.state.mkdir(mode=0o700)
    approve(home, read_proposal(home, proposal))
    return home


def message_table(figures: MessageFigures) -> str:
    """Write the times as two Markdown tables, of messages and of packages."""
    head = ["hospital", "privacy", "kept", *COLUMNS, "all", "CPU"]
    rows = [
        head,
        *(
            [
                f"{cost.cohort} ({cost.patients:,} patients)",
                "yes" if cost.private else "no",
                "yes" if cost.kept else "no",
                *(f"{cost.seconds[part]:.2f}" for part in COLUMNS),
                f"{cost.total:.2f}",
                f"{cost.cpu:.2f}",
            ]
            for cost in figures.costs
        ),
    ]
    footer = f"Seconds, median of {figures.repeats} processes. `kept`: the process of an earlier message has left its "
    footer += f"cache. {figures.origin}."
    table = markdown("lll" + "r" * (len(COLUMNS) + 2), rows)
    return f"{table}\n\n{_packages(figures)}\n\n{footer}"


def _packages(figures: MessageFigures) -> str:
    """Table of the slowest packages, without their imports of other packages."""
    ranked = sorted(figures.packages.items(), key=lambda item: -max(item[1]))
    rows = [["imported package", "s", "s with privacy"]]
    rows += [[name, f"{plain:.2f}", f"{private:.2f}"] for name, (plain, private) in ranked[:PACKAGES]]
    rest = [sum(seconds[kind] for _, seconds in ranked[PACKAGES:]) for kind in (0, 1)]
    rows.append([f"{max(len(ranked) - PACKAGES, 0)} others", *(f"{seconds:.2f}" for seconds in rest)])
    return markdown("lrr", rows)
