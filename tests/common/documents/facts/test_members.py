from common.documents.facts.members import (
    calibrated_tasks,
    calibration_fact,
    heterogeneity_fact,
    intervals_fact,
)
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.release.interval_table import IntervalTable, OutcomeIntervals


def row(observed: float | None, before: float, after: float) -> LevelRow:
    return LevelRow(level=0.3, error=0.1, patients=200, observed=observed, before=before, after=after)


CALIBRATED = OutcomeCalibration(
    events=60,
    deviation=0.2,
    pooled=row(60, 40, 60),
    hospitals={"one": row(40, 20, 32), "two": row(20, 25, 24), "three": row(None, 5, 5)},
)
FEW = OutcomeCalibration(events=11)
TABLE = CalibrationTable(tasks={"survival": {"event": CALIBRATED}, "response": {"yes": FEW}})


def test_calibration_is_told_before_and_after_and_refusals_with_their_number() -> None:
    survival, response, _ = calibration_fact(TABLE, "patients").lines
    assert all(number in survival for number in ("1.50", "1.00", "+0.30", "0.10", "200", "60"))
    assert all(number in response for number in ("11", "30", "not calibrated"))
    assert calibration_fact(TABLE, "patients").data == TABLE.model_dump(mode="json")


def test_hospitals_that_can_tell_are_compared() -> None:
    fact = heterogeneity_fact(TABLE)
    (line,) = fact.lines
    assert all(part in line for part in ("2.00 (one)", "0.80 (two)", "0.83", "1.25", "2 hospitals"))
    assert fact.data == {
        "survival": {"observed_over_expected": {"one": 2.0, "two": 0.8}, "deviation_of_levels": 0.2}
    }


def test_intervals_are_told_with_the_patients_behind_them() -> None:
    table = IntervalTable(
        tasks={
            "survival": {"event": OutcomeIntervals(patients=150, events=40, pooled=(0.2, 0.1))},
            "toxicity": {"rash": OutcomeIntervals(patients=20, events=3)},
        }
    )
    survival, toxicity, coverage = intervals_fact(table, "patients").lines
    assert all(part in survival for part in ("80%", "90%", "150", "40"))
    assert all(part in toxicity for part in ("none", "3", "10"))
    assert "not measured" in coverage


def test_without_members_nothing_is_known() -> None:
    facts = (calibration_fact(None, "x"), heterogeneity_fact(None), intervals_fact(None, "x"))
    assert not any(fact.is_known for fact in facts)


def test_a_task_is_calibrated_if_all_of_its_outcomes_are() -> None:
    both = CalibrationTable(
        tasks={"survival": {"event": CALIBRATED}, "toxicity": {"a": CALIBRATED, "b": FEW}}
    )
    assert calibrated_tasks(both) == {"survival"}
    assert calibrated_tasks(None) == set()
