"""Levels of every task from the hospitals' sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.assessment.part import ROUNDING
from common.calibration.levels import GRID, Levels, fit_levels, fit_means
from common.calibration.likelihoods import Tally, binomial, poisson
from common.calibration.outcome_sums import share_at
from common.calibration.shapes import MOST_EXPECTED, SAME_LEVEL, SAME_SLOPE, SLOPES, outcomes_of
from common.calibration.survival_sums import best_slope
from common.release.calibration_table import LEAST_EVENTS, CalibrationTable, LevelRow, OutcomeCalibration
from common.tasks.task import OutcomeForm, Task

Array = NDArray[np.float64]

SLOPE_EVENTS = 100
"""Events, of hospitals that give evidence for slopes, below which the slope stays 1."""

CLEAR = 3.84
"""Twice the gain in log-likelihood for a slope: 95% of a chi-squared number with one degree of freedom."""


def fitted(tasks: Sequence[Task], sites: Mapping[str, Mapping[str, Array]]) -> CalibrationTable:
    """Fit the calibration of every task that has a known form.

    Args:
        tasks: of the agreement.
        sites: hospital -> sums, named `TASK.NAME`.
    """
    tables = {}
    for task in tasks:
        outcomes = outcomes_of(task)
        by_site = {
            site: {
                name.removeprefix(f"{task.name}."): sums[name]
                for name in sums
                if name.startswith(f"{task.name}.")
            }
            for site, sums in sorted(sites.items())
        }
        if task.form is OutcomeForm.NUMBER:
            by_site = {site: sums for site, sums in by_site.items() if _are_possible_numbers(task, sums)}
        made = {
            outcome: _FITS[task.form]({site: _column(sums, index) for site, sums in by_site.items()})
            for index, outcome in enumerate(outcomes)
        }
        if task.form is OutcomeForm.CLASSES and any(outcome.pooled is None for outcome in made.values()):
            made = {
                name: outcome.model_copy(update={"pooled": None, "hospitals": {}})
                for name, outcome in made.items()
            }
        tables[task.name] = made
    return CalibrationTable(tasks={name: table for name, table in tables.items() if table})


def _column(sums: Mapping[str, Array], index: int) -> dict[str, Array]:
    """Take the sums of one outcome; those of a time have a single site_sums."""
    return {
        name: values if name in ("expected", "evidence") and values.ndim == 1 else values[index]
        for name, values in sums.items()
    }


@dataclass(frozen=True)
class _Site:
    """Numbers of a hospital about one outcome."""

    tally: Tally
    expected: Array

    @property
    def events(self) -> int:
        return self.tally.events or 0


def _sites(sums: Mapping[str, Mapping[str, Array]], same: int, most: float) -> dict[str, _Site]:
    """Take the hospitals with numbers that patients can have.

    Args:
        sums: of the hospitals.
        same: index of the expected events as the model has them.
        most: expected events that one patient adds at most.
    """
    sites = {}
    for name, site_sums in sums.items():
        patients, least, events = (
            round(float(site_sums[count])) for count in ("patients", "least", "events")
        )
        expected = np.asarray(site_sums["expected"], np.float64)
        fits = expected[same] > 0 and expected.max() <= patients * most * (1 + ROUNDING)
        if 0 <= events <= patients and 0 < least <= patients and fits:
            sites[name] = _Site(Tally(events or None, patients, least), expected)
    return sites


def _times(sums: Mapping[str, Mapping[str, Array]]) -> OutcomeCalibration:
    sites = _sites(sums, SAME_SLOPE, MOST_EXPECTED)
    events = sum(site.events for site in sites.values())
    if events < LEAST_EVENTS:
        return OutcomeCalibration(events=events)
    evident = [name for name, site in sites.items() if (site.expected > 0).all() and site.events]
    slope, ratio = SAME_SLOPE, 1.0
    if evident:
        of_them = np.array([float(sites[name].events) for name in evident])
        expected = np.stack([sites[name].expected for name in evident])
        best, gain = best_slope(of_them, expected, np.stack([sums[name]["evidence"] for name in evident]))
        if of_them.sum() >= SLOPE_EVENTS and gain >= CLEAR:
            slope, ratio = best, float(expected[:, best].sum() / expected[:, SAME_SLOPE].sum())
    by_slope = {
        name: float(site.expected[slope] if site.expected[slope] > 0 else site.expected[SAME_SLOPE] * ratio)
        for name, site in sites.items()
    }
    levels = fit_levels([poisson(site.tally, by_slope[name] * np.exp(GRID)) for name, site in sites.items()])
    rows = {
        name: _row(
            site, level.value, level.error, site.expected[SAME_SLOPE], by_slope[name] * np.exp(level.value)
        )
        for (name, site), level in zip(sites.items(), levels.hospitals, strict=True)
    }
    return _calibration(events, levels, rows, SLOPES[slope])


def _shares(sums: Mapping[str, Mapping[str, Array]]) -> OutcomeCalibration:
    sites = _sites(sums, SAME_LEVEL, 1.0)
    events = sum(site.events for site in sites.values())
    rarer = min(events, sum(site.tally.patients - site.events for site in sites.values() if site.events))
    if rarer < LEAST_EVENTS:
        return OutcomeCalibration(events=rarer)
    whole = [site for site in sites.values() if (site.expected > 0).all()]
    others = (
        np.sum([site.expected for site in whole], axis=0) / sum(site.tally.patients for site in whole)
        if whole
        else None
    )
    shares = {
        name: (lambda levels, nodes=site.expected / site.tally.patients: share_at(levels, nodes, others))
        for name, site in sites.items()
    }
    levels = fit_levels(
        [binomial(site.tally, shares[name](GRID)) for name, site in sites.items()], are_factors=False
    )
    rows = {
        name: _row(
            site,
            level.value,
            level.error,
            site.expected[SAME_LEVEL],
            site.tally.patients * shares[name](np.array([level.value]))[0],
        )
        for (name, site), level in zip(sites.items(), levels.hospitals, strict=True)
    }
    return _calibration(rarer, levels, rows, 1.0)


def _are_possible_numbers(task: Task, sums: Mapping[str, Array]) -> bool:
    """Whether so many patients can have the errors of numbers within the plausible range."""
    low, high = task.moment_limits()
    patients, error, square = (float(sums[name][0]) for name in ("patients", "error", "square"))
    most, room = patients * float(high[0] - low[0]) ** 2, 1 + ROUNDING
    return (
        patients >= 1
        and patients == round(patients)
        and error**2 / patients <= square * room <= most * room**2
    )


def _numbers(sums: Mapping[str, Mapping[str, Array]]) -> OutcomeCalibration:
    sizes = {name: round(float(site_sums["patients"])) for name, site_sums in sums.items()}
    patients = sum(sizes.values())
    if patients < LEAST_EVENTS:
        return OutcomeCalibration(events=patients)
    means = {name: -float(sums[name]["error"]) / size for name, size in sizes.items()}
    within = sum(float(sums[name]["square"]) - size * means[name] ** 2 for name, size in sizes.items())
    unit = max(float(np.sqrt(max(within, 0.0) / max(patients - len(sizes), 1))), 1e-12)
    levels = fit_means(list(means.values()), [unit**2 / size for size in sizes.values()])
    rows = {
        name: LevelRow(
            level=level.value,
            error=level.error,
            patients=sizes[name],
            observed=means[name],
            before=0.0,
            after=level.value,
        )
        for name, level in zip(sizes, levels.hospitals, strict=True)
    }
    scaled = OutcomeCalibration(events=patients, deviation=levels.deviation, hospitals=rows)
    pooled = LevelRow(
        level=levels.pooled.value,
        error=levels.pooled.error,
        patients=patients,
        observed=sum(means[name] * size for name, size in sizes.items()) / patients,
        before=0.0,
        after=sum(rows[name].after * size for name, size in sizes.items()) / patients,
    )
    return scaled.model_copy(update={"pooled": pooled})


def _row(site: _Site, level: float, error: float, before: float, after: float) -> LevelRow:
    events = site.tally.events
    return LevelRow(
        level=level,
        error=error,
        patients=site.tally.patients,
        observed=None if events is None else float(events),
        before=float(before),
        after=float(after),
    )


def _calibration(events: int, levels: Levels, rows: dict[str, LevelRow], slope: float) -> OutcomeCalibration:
    """Add up the hospitals that told their events."""
    telling = [row for row in rows.values() if row.observed is not None]
    pooled = LevelRow(
        level=levels.pooled.value,
        error=levels.pooled.error,
        patients=sum(row.patients for row in telling),
        observed=sum(row.observed or 0.0 for row in telling),
        before=sum(row.before for row in telling),
        after=sum(row.after for row in telling),
    )
    return OutcomeCalibration(
        events=events, slope=slope, deviation=levels.deviation, pooled=pooled, hospitals=rows
    )


_FITS = {
    OutcomeForm.TIME_TO_EVENT: _times,
    OutcomeForm.CLASSES: _shares,
    OutcomeForm.LABELS: _shares,
    OutcomeForm.NUMBER: _numbers,
}
