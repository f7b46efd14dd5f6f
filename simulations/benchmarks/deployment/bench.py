"""Benchmark `deployment`: coordinator and hospitals as real processes, beside bare Flower."""

import json
import os
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Home as SiteHome
from client.site_folder.site_file import SITE_FILE
from common.agreement.federation import FILE_NAME, load, save
from common.models.registry import build_model
from server.home.places import CoordinatorHome, free_port, open_home
from server.records.journal import RoundRecord, read_journal
from server.services.processes import script
from simulations.benchmarks.deployment.bare_flower import bare_rounds, running, wait_for
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.cohorts.synthetic import write_synthetic
from simulations.engines.environment import environment_set
from simulations.work_folder import work_folder

PATIENTS = 30
"""Patients of a hospital, so few that a round is spent on everything but training."""


READY = b"Ready after"


class DeploymentFigures(Figures):
    """Figures of a deployment on one machine.

    Attributes:
        sites: number of hospitals.
        parameters: number of parameters of the model.
        ready_s: seconds from starting the coordinator until it answers.
        first_s: seconds from starting the hospitals until the first round was averaged, statistics included.
        rounds_s: seconds of the rounds of training.
        bare_s: seconds of the rounds of bare Flower, with one array of as many bytes.
        reply_bytes: bytes of a hospital's reply in a round, by its receipt.
        all_bytes: bytes of all messages that left a hospital in the run.
        messages: number of messages that left a hospital.
    """

    sites: int
    parameters: int
    ready_s: float
    first_s: float
    rounds_s: tuple[float, ...]
    bare_s: tuple[float, ...]
    reply_bytes: int
    all_bytes: int
    messages: int


def run_deployment(sites: int, rounds: int, out: Path | None) -> DeploymentFigures:
    """Measure a run of synthetic hospitals, and as many rounds of bare Flower."""
    with work_folder() as name, environment_set({STATE_VARIABLE: f"{name}/state"}):
        folder = name.resolve()
        cohort = folder / "cohort"
        write_synthetic(cohort, sites=sites, patients=PATIENTS, lacking=0, seed=0)
        federation = load(cohort / FILE_NAME).changed(
            {"training.rounds": str(rounds), "training.linear_rounds": "0"}
        )
        save(federation, cohort / FILE_NAME)
        weights = build_model(federation, cohort, seed=0).state_dict().values()
        parameters = sum(tensor.numel() for tensor in weights)
        homes = [SiteHome(cohort / f"hospital-{number}") for number in range(1, sites + 1)]
        ready_s, first_s, journal = _run(folder, cohort, homes)
        receipts = _do("site", "receipts", homes[0].folder, "--json")
        sizes = [receipt["size_bytes"] for receipt in json.loads(receipts)]
        (folder / "bare").mkdir()
        measured = DeploymentFigures(
            sites=sites,
            parameters=parameters,
            ready_s=ready_s,
            first_s=first_s,
            rounds_s=tuple(record.seconds for record in journal if record.kind == "train"),
            bare_s=bare_rounds(folder / "bare", sites, rounds, 4 * parameters),
            reply_bytes=max(sizes),
            all_bytes=sum(sizes),
            messages=len(sizes),
        )
    measured.write(out)
    return measured


def _run(folder: Path, cohort: Path, sites: list[SiteHome]) -> tuple[float, float, list[RoundRecord]]:
    """(seconds until the coordinator is ready, seconds until the first round is done, rounds)."""
    _do(
        "coordinator",
        "init",
        folder / "home",
        "--host",
        "localhost",
        "--port",
        free_port(),
        "--federation",
        cohort,
    )
    home = open_home(folder / "home")
    environment = dict(os.environ)
    with ExitStack() as started:
        log, begun = folder / "coordinator.log", time.monotonic()
        command = [script("consilium"), "coordinator", "start", str(home.folder)]
        started.enter_context(running(command, log, environment))
        wait_for(lambda: log.is_file() and READY in log.read_bytes())
        ready_s = time.monotonic() - begun
        for number, site in enumerate(sites, start=1):
            _join(home, site, f"hospital {number}")
        begun = time.monotonic()
        for site in sites:
            command = [script("consilium"), "site", "start", str(site.folder)]
            started.enter_context(running(command, folder / "site.log", environment))
        run = subprocess.Popen(
            [script("consilium"), "coordinator", "run", str(home.folder), "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert run.stdout is not None
        training_s = (
            time.monotonic() - begun for line in run.stdout if json.loads(line).get("kind") == "train"
        )
        first_s = next(training_s)
        run.communicate()
        (out,) = home.runs.iterdir()
        return ready_s, first_s, [record for record in read_journal(out) if isinstance(record, RoundRecord)]


def _join(home: CoordinatorHome, site: SiteHome, name: str) -> None:
    """Prepare a hospital for a run, without folds, which are for simulations."""
    settings = site.folder / SITE_FILE
    settings.write_text(re.sub(r"(?m)^fold = .*\n", "", settings.read_text()))
    address = ("--coordinator", f"localhost:{home.settings().port}", "--ca", home.authority)
    _do("site", "init", site.folder, "--name", name, *address, "--port", free_port())
    _do("coordinator", "enrol", home.folder, name, site.public_key)
    _do("site", "approve", site.folder, home.agreement, "--yes")


def _do(*arguments: object) -> str:
    command = [script("consilium"), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def deployment_table(figures: DeploymentFigures) -> str:
    """Write the figures as a Markdown table."""
    round_s, bare_s = median(figures.rounds_s), median(figures.bare_s)
    bare_bytes = 4 * figures.parameters
    rows = {
        "coordinator, from start to ready": f"{figures.ready_s:.1f} s",
        "hospitals, from `site start` to the first round trained": f"{figures.first_s:.1f} s",
        "a round, median": f"{round_s:.1f} s",
        "a round of Flower by itself, median": f"{bare_s:.1f} s",
        "a round over that floor": f"{round_s - bare_s:.1f} s",
        "out of a hospital per round": f"{figures.reply_bytes:,} bytes",
        f"the weights alone ({figures.parameters:,} x 4)": f"{bare_bytes:,} bytes",
        "over that": f"{figures.reply_bytes - bare_bytes:,} bytes",
        f"out of a hospital in all ({figures.messages} messages)": f"{figures.all_bytes:,} bytes",
    }
    footer = (
        f"{figures.sites} hospitals with {PATIENTS} synthetic patients each, {len(figures.rounds_s)} rounds, "
    )
    footer += f"all on one machine: {figures.origin}."
    return f"{markdown('lr', [('', ''), *rows.items()])}\n\n{footer}"
