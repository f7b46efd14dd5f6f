"""Benchmark `deployment`: coordinator and hospitals as real processes, beside bare Flower."""

import json
import time
from pathlib import Path
from statistics import median

from client.receipts.page import read_receipts
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Home as SiteHome
from common.agreement.federation import FILE_NAME, load, save
from common.models.registry import build_model
from server.records.journal import RoundRecord, read_journal
from simulations.benchmarks.deployment.bare_flower import bare_rounds
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.synthetic import write_synthetic
from simulations.engines.environment import environment_set
from simulations.poc.federation import LiveFederation
from simulations.poc.hospitals import STATE, lay_out
from simulations.work_folder import work_folder

PATIENTS = 30
"""Patients of a hospital, so few that a round is spent on everything but training."""


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
    with work_folder() as name:
        folder = name.resolve()
        cohort = folder / "cohort"
        write_synthetic(cohort, sites=sites, patients=PATIENTS, lacking=0, seed=0)
        federation = load(cohort / FILE_NAME).changed(
            {"training.rounds": str(rounds), "training.linear_rounds": "0"}
        )
        save(federation, cohort / FILE_NAME)
        weights = build_model(federation, cohort, seed=0).state_dict().values()
        parameters = sum(tensor.numel() for tensor in weights)
        ready_s, first_s, journal = _run(folder, cohort)
        with environment_set({STATE_VARIABLE: str(folder / STATE)}):
            receipts = read_receipts(SiteHome(folder / "hospital-1")).receipts
        sizes = [receipt.size_bytes for receipt in receipts]
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


def _run(folder: Path, cohort: Path) -> tuple[float, float, list[RoundRecord]]:
    """(seconds until the coordinator is ready, seconds until the first round is done, rounds)."""
    trained: list[float] = []

    def take(line: str) -> None:
        if line.startswith("{") and json.loads(line).get("kind") == "train":
            trained.append(time.monotonic())

    layout = lay_out(open_cohort(cohort), folder, named=False, hospitals=None, rounds=None)
    with LiveFederation(folder, layout.hospitals, lambda line: None) as federation:
        federation.initialise()
        begun = time.monotonic()
        federation.start_coordinator()
        federation.wait_for_coordinator()
        ready_s = time.monotonic() - begun
        federation.approve()
        for hospital in layout.hospitals:
            federation.enrol(hospital)
        begun = time.monotonic()
        for hospital in layout.hospitals:
            federation.start_hospital(hospital)
        federation.run(take, "--json")
        (out,) = federation.home.runs.iterdir()
    journal = [record for record in read_journal(out) if isinstance(record, RoundRecord)]
    return ready_s, trained[0] - begun, journal


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
