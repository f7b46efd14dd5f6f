"""Figures of a table over seeds and folds: files, means and paired differences."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from common.errors import IntegrityError
from common.evaluation.bootstrap import percentile_interval
from simulations.benchmarks.measuring.record import Figures
from simulations.results.machine import Record, Score
from simulations.results.schema import UNKNOWN, Difference, summarise

Array = NDArray[np.float64]


REPLICATES = 2000
"""Draws of seeds and folds behind an interval."""


class RowFigures(Figures):
    """Figures of one row with one seed.

    Attributes:
        cohort, row, seed, folds: what was trained and held out.
        digests: run -> digest of its agreement, by which a file of other settings is recognised.
        scores: task -> metric -> figure of every fold.
    """

    cohort: str
    row: str
    seed: int
    folds: tuple[int, ...]
    digests: dict[str, str]
    scores: dict[str, dict[str, tuple[Score, ...]]]

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a written file; None if there is none.

        Raises:
            IntegrityError: if it does not follow the schema.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            raise IntegrityError(str(path), "is damaged", "remove it: the figures are made again") from None


class MetricFigures(Record):
    """Figures of a metric: means over folds by seed, their mean and standard deviation."""

    by_seed: tuple[Score, ...]
    mean: Score
    sd: Score


class RowSummary(Record):
    """Figures of a row by task: its metrics, and ours minus the row in the headline metric."""

    title: str
    metrics: dict[str, dict[str, MetricFigures]]
    paired: dict[str, Difference]


class CohortSummary(Record):
    """Rows of a cohort, and the rows that are left out with their reasons.

    Attributes:
        headlines: task -> metric that rows are compared by.
        kinds: task -> its kind.
        seeds, folds: with which every row was run.
        rows: name -> figures.
        left_out: title -> reason.
    """

    headlines: dict[str, str]
    kinds: dict[str, str]
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    rows: dict[str, RowSummary]
    left_out: dict[str, str]


class FieldTable(Figures):
    """Table of several cohorts, by name."""

    cohorts: dict[str, CohortSummary]


def summarise_row(
    title: str, figures: Sequence[RowFigures], ours: Sequence[RowFigures], headlines: Mapping[str, str]
) -> RowSummary:
    """Summarise a row over its seeds, in the order of those of our row.

    Args:
        title: of the row.
        figures: of the row, one per seed.
        ours: of our row, the same seeds.
        headlines: task -> metric that is compared.
    """
    metrics = {
        task: {metric: _over_seeds(figures, task, metric) for metric in scores}
        for task, scores in figures[0].scores.items()
    }
    paired = {
        task: paired_difference(_grid(ours, task, headlines[task]), _grid(figures, task, headlines[task]))
        for task in metrics
        if ours
    }
    return RowSummary(title=title, metrics=metrics, paired=paired)


def paired_difference(ours: Array, other: Array, seed: int = 0) -> Difference:
    """Mean of ours minus another row over seeds and folds, with a 95% interval.

    The interval draws seeds and folds anew, both with replacement (a two-way bootstrap, Owen 2007): figures of a fold
    share its patients, and those of a seed its first weights. There is none of a single seed and fold.

    Args:
        ours, other: [S, F] figures by seed and fold; NaN where undefined.
        seed: of the draws.
    """
    difference = ours - other
    if np.isnan(difference).all():
        return Difference(difference=None, low=None, high=None)
    whole = float(np.nanmean(difference))
    if difference.size == 1:
        return Difference(difference=whole, low=None, high=None)
    rng = np.random.default_rng(seed)
    seeds, folds = difference.shape
    rows = rng.integers(seeds, size=(REPLICATES, seeds, 1))
    columns = rng.integers(folds, size=(REPLICATES, 1, folds))
    drawn = difference[rows, columns].reshape(REPLICATES, -1)
    counts = (~np.isnan(drawn)).sum(1)
    means = np.nansum(drawn[counts > 0], axis=1) / counts[counts > 0]
    low, high = percentile_interval(means) if len(means) else UNKNOWN
    return Difference(difference=whole, low=low, high=high)


def _over_seeds(figures: Sequence[RowFigures], task: str, metric: str) -> MetricFigures:
    by_seed = tuple(summarise(figure.scores[task][metric]).mean for figure in figures)
    defined = [score for score in by_seed if score is not None]
    return MetricFigures(
        by_seed=by_seed,
        mean=mean(defined) if defined else None,
        sd=stdev(defined) if len(defined) > 1 else None,
    )


def _grid(figures: Sequence[RowFigures], task: str, metric: str) -> Array:
    """Figures [S, F] by seed and fold, NaN where undefined."""
    rows = [figure.scores[task][metric] for figure in figures]
    return np.array([[np.nan if score is None else score for score in row] for row in rows], dtype=np.float64)
