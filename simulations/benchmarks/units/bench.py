"""Benchmark `units`: wrong units planted in one hospital of three, and false alarms.

Every hospital and column of a cohort is compared as it is, with all hospitals together and in threes. Then the values
of one of three hospitals are multiplied by the factor between two units, or divided by it, and compared again.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
from pydantic import Field

from common.comparison.form import Subject
from common.comparison.hospitals import differences
from common.comparison.quantity import locations
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.benchmarks.units.measured import EICU, MeasuredQuantity, measured
from simulations.results.machine import Record
from simulations.work_folder import work_folder

CHOSEN = ("lung", "fed-heart", "tcga-brca", "tcga-blca")
"""Cohorts on which the constants of the comparison were chosen."""

JUDGED = ("fed-tcga-brca", "ici", "cdisc", "tcga-gbmlgg", "tcga-luad", "tcga-ucec", EICU)
"""Cohorts that had no part in the choice."""

FACTORS = {
    Subject.COLUMN: (2.2046, 2.54, 10.0, 12.0, 30.4375, 365.25, 1000.0),
    Subject.TIME: (7.0, 12.0, 30.4375, 365.25),
}
"""Factors between units that are planted: pounds, inches, cm and mm, months and years, days and months, and others."""

TRIPLES = 20
"""Most threes of hospitals of a column."""


class Planted(Record):
    """Outcomes of a planted factor, in counts.

    Attributes:
        subject: column or time.
        factor: larger than 1; it was multiplied by as often as divided by.
        planted: threes of hospitals with a wrong one.
        refused: those in which the hospital's own plausible range has the file refused before anything leaves.
        named: those in which the wrong hospital alone is named, refused or not.
        differ: those in which it is named with others, because nobody can say who is right.
        wrong: those in which another hospital alone is named.
        detected: those in which the hospital is refused, named, or said to differ.
    """

    subject: Subject
    factor: float
    planted: int = 0
    refused: int = 0
    named: int = 0
    differ: int = 0
    wrong: int = 0
    detected: int = 0


class CohortFigures(Record):
    """Figures of a cohort.

    Attributes:
        chosen: whether the constants were chosen on it.
        tests: hospitals times columns that were compared, all hospitals together.
        alarms: hospitals times columns that were named in them.
        columns: columns that were compared.
        alarmed: columns of which any hospital was named.
        tests_in_threes: the same as tests, in threes of hospitals.
        alarms_in_threes: the same as alarms, in threes.
    """

    cohort: str
    chosen: bool
    tests: int = 0
    alarms: int = 0
    columns: int = 0
    alarmed: int = 0
    tests_in_threes: int = 0
    alarms_in_threes: int = 0
    planted: tuple[Planted, ...] = ()


class UnitFigures(Figures):
    """Figures of all cohorts."""

    seed: int
    cohorts: tuple[CohortFigures, ...] = Field(default=())


def run_units(
    cohorts: Sequence[str], data: Path | None, seed: int, out: Path | None, say: Callable[[str], None]
) -> UnitFigures:
    """Measure false alarms and planted units on cohorts.

    Raises:
        InputError: if a cohort is unknown or its data are not there.
    """
    results = []
    with work_folder() as work:
        for cohort in cohorts:
            say(cohort)
            rng = np.random.default_rng(seed)
            results.append(measure(cohort, measured(cohort, data, work), rng))
    figures = UnitFigures(seed=seed, cohorts=tuple(results))
    figures.write(out)
    return figures


def measure(cohort: str, quantities: Sequence[MeasuredQuantity], rng: np.random.Generator) -> CohortFigures:
    """Measure false alarms and planted units of a cohort's quantities."""
    counts = dict.fromkeys(
        ("tests", "alarms", "columns", "alarmed", "tests_in_threes", "alarms_in_threes"), 0
    )
    planted: dict[tuple[Subject, float], Planted] = {}
    for part in quantities:
        sites = [site for site, sums in part.sums.items() if _is_compared(part, sums)]
        if len(sites) < 2:
            continue
        named = _named(part, part.sums)
        counts["tests"] += len(sites)
        counts["alarms"] += len({site for group in named for site in group})
        counts["columns"] += 1
        counts["alarmed"] += bool(named)
        for three in _threes(sites, rng):
            kept = {site: part.sums[site] for site in three}
            alarms = {site for group in _named(part, kept) for site in group}
            counts["tests_in_threes"] += 3
            counts["alarms_in_threes"] += len(alarms)
            if part.values is None:
                continue
            for factor in FACTORS[part.quantity.subject]:
                key = (part.quantity.subject, factor)
                before = planted.get(key, Planted(subject=key[0], factor=factor))
                for multiplier in (factor, 1 / factor):
                    before = _with(before, part, kept, three[int(rng.integers(3))], multiplier)
                planted[key] = before
    return CohortFigures(cohort=cohort, chosen=cohort in CHOSEN, planted=tuple(planted.values()), **counts)


def _with(
    before: Planted, part: MeasuredQuantity, kept: dict[str, dict[str, np.ndarray]], site: str, factor: float
) -> Planted:
    groups = _named(part, kept | {site: part.planted(site, factor)})
    refused, named = part.is_refused(site, factor), (site,) in groups
    differ = any(site in group and len(group) > 1 for group in groups)
    wrong = any(len(group) == 1 and group != (site,) for group in groups)
    return before.model_copy(
        update={
            "planted": before.planted + 1,
            "refused": before.refused + refused,
            "named": before.named + named,
            "differ": before.differ + differ,
            "wrong": before.wrong + wrong,
            "detected": before.detected + (refused or named or differ),
        }
    )


def _is_compared(part: MeasuredQuantity, sums: dict[str, np.ndarray]) -> bool:
    total = np.sum([moments[:, list(part.quantity.indices)] for moments in sums.values()], axis=0)
    return bool(np.isfinite(locations(total, part.quantity.form)[0]).any())


def _named(part: MeasuredQuantity, sums: dict[str, dict[str, np.ndarray]]) -> list[tuple[str, ...]]:
    quantity = part.quantity
    return [difference.sites for difference in differences(sums, [quantity])]


def _threes(sites: Sequence[str], rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
    if comb(len(sites), 3) <= TRIPLES:
        yield from combinations(sites, 3)
        return
    for _ in range(TRIPLES):
        yield tuple(sites[index] for index in rng.choice(len(sites), 3, replace=False))


def units_table(figures: UnitFigures) -> str:
    """Write false alarms by cohort, and planted units by factor, as Markdown tables."""
    rows = [["cohort", "constants", "hospitals x columns", "named", "columns", "with an alarm", "in threes"]]
    rows += [
        [
            cohort.cohort,
            "" if cohort.cohort == _ALL else "chosen on it" if cohort.chosen else "judged on it",
            f"{cohort.tests:,}",
            _share(cohort.alarms, cohort.tests),
            f"{cohort.columns:,}",
            _share(cohort.alarmed, cohort.columns),
            f"{_share(cohort.alarms_in_threes, cohort.tests_in_threes)} of {cohort.tests_in_threes:,}",
        ]
        for cohort in (*figures.cohorts, _all(figures.cohorts))
    ]
    parts = ["False alarms:", "", markdown("llrrrrr", rows)]
    for chosen in (True, False):
        if planted := _summed([cohort for cohort in figures.cohorts if cohort.chosen is chosen]):
            title = "constants were chosen" if chosen else "nothing was chosen"
            parts += ["", f"Planted in one hospital of three, on cohorts on which {title}:", ""]
            parts.append(_planted_table(planted))
    return "\n".join([*parts, "", figures.origin])


_ALL = "all"


def _all(cohorts: Sequence[CohortFigures]) -> CohortFigures:
    """Sum the false alarms over cohorts."""
    names = ("tests", "alarms", "columns", "alarmed", "tests_in_threes", "alarms_in_threes")
    counts = {name: sum(getattr(cohort, name) for cohort in cohorts) for name in names}
    return CohortFigures(cohort=_ALL, chosen=False, **counts)


def _planted_table(planted: Sequence[Planted]) -> str:
    head = ["values", "factor", "planted", "refused by the own range", "named by the comparison", "differ"]
    rows = [[*head, "another named", "found in all"]]
    rows += [
        [
            "follow-up" if outcome.subject is Subject.TIME else "columns",
            f"{outcome.factor:.4g}",
            f"{outcome.planted:,}",
            *(
                _share(part, outcome.planted)
                for part in (outcome.refused, outcome.named, outcome.differ, outcome.wrong, outcome.detected)
            ),
        ]
        for outcome in planted
    ]
    return markdown("lrrrrrrr", rows)


def _summed(cohorts: Sequence[CohortFigures]) -> list[Planted]:
    total: dict[tuple[Subject, float], Planted] = {}
    for outcome in (outcome for cohort in cohorts for outcome in cohort.planted):
        key = (outcome.subject, outcome.factor)
        before = total.get(key)
        counts = ("planted", "refused", "named", "differ", "wrong", "detected")
        total[key] = outcome.model_copy(
            update={
                name: getattr(outcome, name) + (0 if before is None else getattr(before, name))
                for name in counts
            }
        )
    return [total[key] for key in sorted(total)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
