"""Weights of hospitals: within declared sizes, fixed for a run, and alike where nothing is declared or told."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant
from common.privacy.planning import with_privacy
from server.records.dropped import DropReason

if TYPE_CHECKING:
    from tests.server.conftest import Bench, Rounds

ADDED = {"east": 1.0, "north": 2.0, "south": 3.0, "west": 10.0}


def sized(federation: Federation, **sizes: int) -> Federation:
    """The federation with declared sizes; without any, it declares none."""
    parts = tuple(Participant(name=one.name, patients=sizes.get(one.name)) for one in federation.participants)
    return federation.model_copy(update={"participants": parts})


def mean_of(bench: "Bench", rounds: "Rounds", number: int = 1, **patients: dict[str, Any]) -> float:
    """Mean that the hospitals added to the shared parameters."""
    requests = rounds.ask(number)
    told = {site: patients.get(site, {"patients": 30.0}) for site in ADDED}
    replies = [bench.reply(requests[site], site, add=ADDED[site], patients=told[site]) for site in ADDED]
    arrays = rounds.close(replies)
    assert arrays is not None
    return float(np.mean(arrays["shared.weight"] - bench.weights["shared.weight"]))


def test_a_hospital_counts_by_its_patients_up_to_its_declared_size(bench: "Bench") -> None:
    rounds = bench.rounds(sized(bench.federation(), east=400, north=400, south=400, west=10))
    assert mean_of(bench, rounds, west={"patients": 300.0}) == pytest.approx(
        (30 * 1 + 30 * 2 + 30 * 3 + 10 * 10) / 100
    )
    assert rounds.record.sites["west"].patients["patients"] == 10


def test_without_declared_sizes_hospitals_count_alike(bench: "Bench") -> None:
    rounds = bench.rounds(sized(bench.federation()))
    assert mean_of(bench, rounds, west={"patients": 400.0}) == pytest.approx(4.0)
    assert rounds.record.sites["west"].patients == {"branches.rna": 0.0, "heads.os": 0.0, "patients": 1.0}


@pytest.mark.parametrize("later", [1.0, 400.0])
def test_a_weight_is_that_of_the_first_round(bench: "Bench", later: float) -> None:
    """With a weight that changed, a hospital set the model, and then read the others' mean alone."""
    rounds = bench.rounds()
    assert mean_of(bench, rounds) == pytest.approx(4.0)
    assert mean_of(bench, rounds, 2, west={"patients": later}) == pytest.approx(4.0)
    assert rounds.record.sites["west"].patients["patients"] == 30


def test_with_privacy_a_hospital_that_counts_for_more_than_one_is_dropped(bench: "Bench") -> None:
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.5, expected_batch_size=10)
    rounds = bench.rounds(with_privacy(bench.federation(), privacy))
    requests = rounds.ask()
    patients = {"east": 1.0, "north": 1.0, "south": 2.0, "west": 400.0}
    rounds.close(
        [
            bench.reply(requests[site], site, patients={"patients": patients[site]}, metrics={})
            for site in patients
        ]
    )
    assert {site: one.patients["patients"] for site, one in rounds.record.sites.items()} == {
        "east": 1.0,
        "north": 1.0,
    }
    assert {(one.site, one.reason) for one in rounds.record.dropped} == {
        ("south", DropReason.WEIGHT_INVALID),
        ("west", DropReason.WEIGHT_INVALID),
    }
