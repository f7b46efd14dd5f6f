"""Honest sums are possible; sums that contradict each other are not."""

import numpy as np
import pytest

from common.validation.observed import Array
from common.validation.sums.possible import are_possible
from tests.common.validation.cohort import made
from tests.common.validation.sums.test_computing import RESPONSE, SURVIVAL, sums_for

EDGES = np.array([0.15, 0.25])


def outcome(patients: int, seed: int) -> list[dict[str, Array]]:
    return [
        {name: array if name.startswith("third") else array[0] for name, array in sums.items()}
        for sums in (sums_for(task, made(patients, seed), EDGES) for task in (SURVIVAL, RESPONSE))
        if sums["patients"][0]
    ]


@pytest.mark.parametrize("patients", [12, 25, 60, 400])
def test_what_a_hospital_computes_is_possible(patients: int) -> None:
    for seed in range(5):
        for sums in outcome(patients, seed):
            assert are_possible(sums)


@pytest.mark.parametrize(
    "changes",
    [
        {"patients": 400.5},
        {"events": 401.0},
        {"left": 401.0},
        {"expected": 0.0},
        {"pairs": np.array([2.0, 1.0])},
        {"third_patients": np.array([400.0, 0.0, 0.0])},
        {"third_edges": np.array([0.3, 0.2])},
        {"cells": np.ones((14, 4))},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_contradictions_are_impossible(changes: dict[str, float | Array]) -> None:
    sums = outcome(400, 0)[0]
    assert not are_possible(
        {**sums, **{name: np.full_like(sums[name], number) for name, number in changes.items()}}
    )
