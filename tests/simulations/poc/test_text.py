import json
import shlex
from pathlib import Path

import pytest

from common.agreement.federation import Federation
from server.records.journal import Journal, RoundRecord, RunRecord
from simulations.poc.hospitals import FederationLayout, PlacedHospital
from simulations.poc.proof import Proof
from simulations.poc.text import as_json, by_hand, ending

HOSPITALS = (PlacedHospital("one", "hospital 1", ("a", "b"), 20), PlacedHospital("two", "hospital-2"))


@pytest.fixture
def proof(tmp_path: Path, federation: Federation) -> Proof:
    run = tmp_path / "coordinator" / "runs" / "20261128-100000"
    both = {
        "federation": "test",
        "digest": "0",
        "strategy": "fedavg",
        "fold": 0,
        "seed": 0,
        "sites": ("one", "two"),
    }
    with Journal(run) as journal:
        journal.write(RunRecord(status="started", **both))
        for number, loss in enumerate((0.9, 0.7, 0.8), start=1):
            journal.write(
                RoundRecord(
                    kind="train" if number < 3 else "evaluate",
                    round=number,
                    seconds=2.0 * number,
                    validation_loss=loss,
                    concordance={"survival": loss},
                    applied=True,
                )
            )
        journal.write(RunRecord(status="completed", rounds=2, best_round=1, best_loss=0.7, **both))
    return Proof(
        FederationLayout(federation, HOSPITALS, ("a note",)),
        tmp_path,
        ("consilium coordinator init",),
        run,
        0,
        61.23,
    )


def test_json_has_the_figures_of_the_kept_weights_and_paths_of_kept_files_alone(proof: Proof) -> None:
    told = json.loads(json.dumps(as_json(proof, is_kept=True)))
    assert told["figures"] == {
        "status": "completed",
        "hospitals": ["one", "two"],
        "rounds": 2,
        "kept_round": 1,
        "validation_loss": 0.7,
        "concordance": {"survival": 0.7},
        "seconds_per_round": 3.0,
    }
    assert told["hospitals"] == [
        {"name": "one", "folder": "hospital 1", "merged": ["a", "b"], "patients": 20},
        {"name": "two", "folder": "hospital-2", "merged": []},
    ]
    assert (told["exit_code"], told["seconds"], told["run"]) == (0, 61.2, str(proof.run))
    assert str(proof.folder) not in json.dumps(as_json(proof, is_kept=False))


def test_the_end_says_how_to_go_on_where_something_was_kept(proof: Proof) -> None:
    assert str(proof.folder) not in "\n".join(ending(proof, is_kept=False))
    lines = list(by_hand(proof))
    assert [f"  {line}" for line in lines] == list(ending(proof, is_kept=True))[-len(lines) :]
    commands = [shlex.split(line) for line in lines if line.startswith("consilium ")]
    assert ["consilium", "site", "start", "hospital 1"] in commands
    assert [command[1:3] for command in commands][-1] == ["coordinator", "stop"]
    assert {"release", "adopt", "predict"} <= {word for command in commands for word in command}
