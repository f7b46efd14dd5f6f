"""Facts from the optional members of a release: calibration and intervals."""

from collections.abc import Iterator

from common.documents.facts.fact import Fact
from common.release.calibration_table import EVENT, NUMBER, CalibrationTable, LevelRow, OutcomeCalibration
from common.release.interval_table import IntervalTable, OutcomeIntervals


def calibrated_tasks(table: CalibrationTable | None) -> set[str]:
    """Name the tasks of which every outcome is calibrated."""
    if table is None:
        return set()
    return {
        task
        for task, outcomes in table.tasks.items()
        if outcomes and all(outcome.pooled is not None for outcome in outcomes.values())
    }


def calibration_fact(table: CalibrationTable | None, unit: str) -> Fact:
    """Say how far expectation and observation were apart, before and after calibration."""
    if table is None or not table.tasks:
        return Fact("Calibration")
    lines = [
        f"{_called(task, name)}: {_calibrated(name, outcome, unit)}."
        for task, name, outcome in _outcomes(table)
    ]
    if any(outcome.pooled for _, _, outcome in _outcomes(table)):
        lines.append(
            "A level is added to the log cumulative hazard, the log-odds or the number, and a slope multiplies the"
            f" first; both were fitted to these {unit}, who did not train."
        )
    return Fact("Calibration", tuple(lines), table.model_dump(mode="json"))


def heterogeneity_fact(table: CalibrationTable | None) -> Fact:
    """Say how far hospitals differ in what was observed over what was expected."""
    lines, data = list[str](), {}
    for task, name, outcome in [] if table is None else _outcomes(table):
        ratios = {
            site: before for site, row in outcome.hospitals.items() if (before := _ratio(row, row.before))
        }
        if len(ratios) < 2:
            continue
        lowest, highest = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
        after = [ratio for row in outcome.hospitals.values() if (ratio := _ratio(row, row.after))]
        lines.append(
            f"{_called(task, name)}: observed over expected from {ratios[lowest]:.2f} ({lowest}) to"
            f" {ratios[highest]:.2f} ({highest}) at the {len(ratios)} hospitals that can tell, and from"
            f" {min(after):.2f} to {max(after):.2f} after calibration."
        )
        data[_called(task, name)] = {
            "observed_over_expected": ratios,
            "deviation_of_levels": outcome.deviation,
        }
    return Fact("Performance by hospital", tuple(lines), data or None)


def intervals_fact(table: IntervalTable | None, unit: str) -> Fact:
    """Say for which outcomes there are intervals, and from how many patients."""
    if table is None or not table.tasks:
        return Fact("Intervals of predictions")
    levels = " and ".join(f"{level:.0%}" for level in table.levels)
    lines = [
        f"{_called(task, name)}: {_bounded(outcome, levels, unit)}."
        for task, outcomes in table.tasks.items()
        for name, outcome in outcomes.items()
    ]
    lines.append("Their coverage among other patients is not measured in the release.")
    return Fact("Intervals of predictions", tuple(lines), table.model_dump(mode="json"))


def _outcomes(table: CalibrationTable) -> Iterator[tuple[str, str, OutcomeCalibration]]:
    for task, outcomes in table.tasks.items():
        for name, outcome in outcomes.items():
            yield task, name, outcome


def _called(task: str, outcome: str) -> str:
    return task if outcome in (EVENT, NUMBER) else f"{task}, {outcome}"


def _ratio(row: LevelRow, expected: float) -> float | None:
    """Return what was observed over what was expected; None where too few can tell."""
    return row.observed / expected if row.observed is not None and expected > 0 else None


def _calibrated(name: str, outcome: OutcomeCalibration, unit: str) -> str:
    row, noun = outcome.pooled, unit if name == NUMBER else "events"
    if row is None:
        return f"not calibrated, as hospitals told of {outcome.events:,} {noun} and {outcome.needed:,} are needed"
    slope = "" if outcome.slope == 1 else f" and slope {outcome.slope:.2f}"
    level = f"level for a hospital that had no part {row.level:+.2f} (standard error {row.error:.2f}){slope}"
    before, after = _ratio(row, row.before), _ratio(row, row.after)
    if name == NUMBER:
        judged = f"mean expected {row.before:.4g} before and {row.after:.4g} after"
    elif before is None or after is None:
        judged = "observed over expected not told"
    else:
        judged = f"observed over expected {before:.2f} before and {after:.2f} after"
    return (
        f"{judged}, of {row.patients:,} {unit}"
        + ("" if name == NUMBER else f" with {outcome.events:,} events")
        + (f"; {level}")
    )


def _bounded(outcome: OutcomeIntervals, levels: str, unit: str) -> str:
    behind = f"{outcome.patients:,} calibration {unit} with {outcome.events:,} events or other outcomes"
    if not outcome.pooled:
        return f"none, as there are {behind} and {outcome.needed:,} are needed"
    return f"for {levels} of {unit}, from {behind}"
