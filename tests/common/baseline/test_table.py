"""Baseline table from hospitals' sums."""

import numpy as np
import pytest

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.settings import Participant
from common.baseline.lines import MOST_COLUMNS, BaselineMeasure, baseline_lines
from common.baseline.table import BaselineCell, baseline_table
from common.tasks.survival import SurvivalTask

FEDERATION = Federation(
    name="small",
    modalities=(
        Modality(
            name="clinical",
            node="clinical",
            columns=("age", "smoker"),
            categories={"sex": ("female", "male")},
            ranges={"age": Plausible(unit="years", low=0, high=120), "smoker": Plausible(low=0, high=1)},
        ),
        Modality(name="blood", node="clinical", columns=("crp",), transform="signed_log"),
        Modality(name="rna", node="gene", columns=tuple(f"g{n}" for n in range(MOST_COLUMNS + 1))),
    ),
    tasks=(SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),),
    participants=(Participant(name="north"), Participant(name="south")),
)


def sums(values: np.ndarray) -> np.ndarray:
    seen = ~np.isnan(values)
    return np.stack([seen.sum(0), np.nansum(values, 0), np.nansum(values**2, 0)]).astype(np.float64)


def hospital(seed: int, patients: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    male = draw.integers(2, size=patients)
    clinical = np.stack([draw.normal(60, 10, patients), draw.integers(2, size=patients), 1 - male, male], 1)
    return {
        "modality:clinical": sums(clinical.astype(np.float64)),
        "modality:blood": sums(np.log1p(draw.exponential(10, (patients, 1)))),
        "modality:rna": sums(draw.normal(size=(patients, MOST_COLUMNS + 1))),
        "survival:survival": sums(np.log1p(draw.exponential(20, (patients, 1)))),
    }


def test_lines_are_outcomes_then_columns_and_levels_and_a_wide_modality_is_one() -> None:
    lines = baseline_lines(FEDERATION)
    assert [line.measure for line in lines] == [
        *(
            BaselineMeasure.LOG_MEAN,
            BaselineMeasure.MEAN,
            BaselineMeasure.SHARE,
            BaselineMeasure.SHARE,
            BaselineMeasure.SHARE,
        ),
        *(BaselineMeasure.LOG_MEAN, BaselineMeasure.COVERAGE),
    ]
    assert [line.heading for line in lines] == [True, True, False, False, False, True, True]


def test_everyone_is_the_pooled_patients_and_shares_are_counts() -> None:
    north, south = hospital(0, 50), hospital(1, 150)
    table = baseline_table(FEDERATION, {"north": north, "south": south}, {"north": 50, "south": 150})
    assert table is not None
    age, smoker = table.rows[1], table.rows[2]
    assert age.everyone is not None
    assert age.everyone.patients == 200
    pooled = north["modality:clinical"][:, 0] + south["modality:clinical"][:, 0]
    assert age.everyone.value == pytest.approx(pooled[1] / 200)
    assert smoker.hospitals["north"].count == north["modality:clinical"][1, 1]
    assert table.rows[-1].hospitals["south"].patients == 150


def test_what_a_hospital_withheld_is_in_no_cell_of_it() -> None:
    north, south = hospital(0, 50), hospital(1, 150)
    north["modality:clinical"][:, 1:] = 0
    table = baseline_table(FEDERATION, {"north": north, "south": south}, {"north": 50, "south": 150})
    assert table is not None
    for row in table.rows[2:5]:
        assert [*row.hospitals] == ["south"]
        assert row.everyone is not None
        assert row.everyone.patients == 150
    assert baseline_table(FEDERATION, {"north": {}}, {"north": 50}) is None


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (BaselineCell(patients=50, value=61.23, low=51.43, high=71.03), "61.2 ± 9.8"),
        (BaselineCell(patients=50, value=24.0, low=18.0, high=33.0), "24.0 (18.0 to 33.0)"),
        (BaselineCell(patients=50, value=0.48, count=24), "24 (48%)"),
        (BaselineCell(patients=1234), "1,234"),
        (BaselineCell(patients=50, value=7.0, low=7.0, high=7.0), "7 ± 0"),
    ],
)
def test_words_of_a_cell(cell: BaselineCell, words: str) -> None:
    assert cell.text() == words
