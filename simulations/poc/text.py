"""Sentences and JSON about a finished proof of concept."""

import shlex
from collections.abc import Iterator
from typing import Any

from client.site_folder.outside import STATE_VARIABLE
from common.agreement.agreement import FILE_NAME
from server.records.journal import RoundRecord, RunRecord, read_journal
from server.reports.writing import PAGE
from simulations.poc.hospitals import AGREEMENT, COORDINATOR, STATE
from simulations.poc.proof import Proof

RELEASE = "model.release"


def figures(proof: Proof) -> dict[str, Any]:
    """Figures of the run: its end, the kept round, and its weights in validation."""
    records = [] if proof.run is None else read_journal(proof.run)
    runs = [record for record in records if isinstance(record, RunRecord)]
    if not runs:
        return {}
    last = runs[-1]
    # the metrics of a round describe the weights that it began with
    judged = [
        record
        for record in records
        if isinstance(record, RoundRecord) and record.round == (last.best_round or 0) + 1
    ]
    rounds = [record for record in records if isinstance(record, RoundRecord) and record.kind == "train"]
    return {
        "status": last.status,
        "hospitals": list(last.sites),
        "rounds": last.rounds,
        "kept_round": last.best_round,
        "validation_loss": last.best_loss,
        "concordance": judged[-1].concordance if judged else {},
        "seconds_per_round": round(sum(record.seconds for record in rounds) / max(1, len(rounds)), 1),
    }


def as_json(proof: Proof, is_kept: bool) -> dict[str, Any]:
    """Everything about a proof of concept, for a program; paths only of files that are kept."""
    return {
        "federation": proof.layout.agreement.name,
        "hospitals": [
            {"name": hospital.name, "folder": hospital.folder, "merged": list(hospital.merged)}
            | ({} if hospital.patients is None else {"patients": hospital.patients})
            for hospital in proof.layout.hospitals
        ],
        "notes": list(proof.layout.notes),
        "commands": list(proof.commands),
        "figures": figures(proof),
        "folder": str(proof.folder) if is_kept else None,
        "run": str(proof.run) if is_kept and proof.run is not None else None,
        "report": str(proof.run / PAGE) if is_kept and proof.run is not None and proof.code != 1 else None,
        "exit_code": proof.code,
        "seconds": round(proof.seconds, 1),
    }


def ending(proof: Proof, is_kept: bool) -> Iterator[str]:
    """Lines at the end: where the report lies, and how to go on."""
    yield f"All processes have ended; it took {proof.seconds:.0f} s."
    if not is_kept or proof.run is None:
        yield "Nothing was kept: `--keep FOLDER` leaves coordinator, hospitals, model and report, to go on by hand."
        return
    yield f"The run's files are in {proof.run}, its report in {PAGE}."
    yield "To go on by hand:"
    yield from (f"  {line}" for line in by_hand(proof))


def by_hand(proof: Proof) -> Iterator[str]:
    """Lines by which a person goes on in the kept folder."""
    assert proof.run is not None
    folders = [shlex.quote(hospital.folder) for hospital in proof.layout.hospitals]
    first, run = folders[0], proof.run.name
    yield "# in every terminal"
    yield f"cd {shlex.quote(str(proof.folder))} && export {STATE_VARIABLE}=$PWD/{STATE}"
    yield "# coordinator and hospitals, each in a terminal of its own"
    yield f"consilium coordinator start {COORDINATOR}"
    yield from (f"consilium site start {folder}" for folder in folders)
    yield f"# another run; after a change of {COORDINATOR}/{AGREEMENT}/{FILE_NAME} every hospital approves it first"
    yield f"consilium coordinator run {COORDINATOR}"
    yield "# forecasts with the model of this run"
    yield f"consilium coordinator release {COORDINATOR} {run} --out {RELEASE}"
    yield f"consilium site adopt {first} {RELEASE}"
    yield f"consilium predict {first} {first}"
    yield "# the end"
    yield from (f"consilium site stop {folder}" for folder in folders)
    yield f"consilium coordinator stop {COORDINATOR}"
