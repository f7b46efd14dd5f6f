"""Figures of a model over all sites, from the sites' sums: patients count, not hospitals."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from common.evaluation.pairs import Pairs
from common.messages.exchange import Numbers
from common.messages.validation import (
    SUMS,
    TRAINING_LOSS,
    VALIDATION_LOSS,
    VALIDATION_PATIENTS,
    VALIDATION_SQUARES,
    comparable,
    concordant,
    pair_names,
)


def known_metrics(metrics: Numbers, tasks: Iterable[str]) -> Numbers:
    """Keep the finite metrics among those a reply may carry, and nothing else."""
    names = (*SUMS, TRAINING_LOSS, *pair_names(tasks))
    return {name: metrics[name] for name in names if name in metrics and math.isfinite(metrics[name])}


@dataclass(frozen=True)
class SiteFigures:
    """Figures of one hospital's reply, as far as they are finite and possible.

    Attributes:
        training_loss: mean per training patient.
        loss: sum over validation patients.
        squares: sum of the squared losses of validation patients.
        patients: validation patients.
        pairs: by task.
    """

    training_loss: float | None
    loss: float | None
    squares: float | None
    patients: float
    pairs: Mapping[str, Pairs]

    @classmethod
    def of(cls, metrics: Numbers, tasks: Iterable[str]) -> Self:
        """Read `known_metrics`; pairs of which more are concordant than comparable are left out."""
        pairs = {
            task: Pairs(metrics.get(concordant(task), -1.0), metrics.get(comparable(task), 0.0))
            for task in tasks
        }
        return cls(
            training_loss=metrics.get(TRAINING_LOSS),
            loss=metrics.get(VALIDATION_LOSS),
            squares=metrics.get(VALIDATION_SQUARES),
            patients=metrics.get(VALIDATION_PATIENTS, 0.0),
            pairs={task: counted for task, counted in pairs.items() if 0 <= counted[0] <= counted[1]},
        )


Figures = Mapping[str, SiteFigures]
"""Site -> the figures of its reply."""


def validation_loss(sites: Figures) -> float | None:
    """Return the mean loss per validation patient; a site whose loss is not finite is left out."""
    return _ratio(
        [(site.loss, site.patients) for site in sites.values() if site.patients > 0 and site.loss is not None]
    )


def validation_error(sites: Figures) -> float | None:
    """Return the standard error of the mean loss per validation patient."""
    sums = [
        (site.loss, site.squares, site.patients)
        for site in sites.values()
        if site.patients > 0 and site.loss is not None and site.squares is not None
    ]
    mean = _ratio([(loss, patients) for loss, _, patients in sums])
    square = _ratio([(squares, patients) for _, squares, patients in sums])
    if mean is None or square is None:
        return None
    error = math.sqrt(max(square - mean * mean, 0.0) / math.fsum(patients for *_, patients in sums))
    return error if math.isfinite(error) else None


def training_loss(sites: Figures, patients: Mapping[str, float]) -> float | None:
    """Return the mean training loss per patient, from the sites' means and numbers of patients."""
    return _ratio(
        [
            (figures.training_loss * patients[site], patients[site])
            for site, figures in sites.items()
            if patients.get(site, 0.0) > 0 and figures.training_loss is not None
        ]
    )


def concordance(sites: Figures, tasks: Iterable[str]) -> dict[str, float]:
    """Return by task the concordant over the comparable pairs of all sites, if there are any."""
    counted = {task: [site.pairs[task] for site in sites.values() if task in site.pairs] for task in tasks}
    scores = {task: _ratio(pairs) for task, pairs in counted.items()}
    return {task: score for task, score in scores.items() if score is not None}


def _ratio(parts: Sequence[tuple[float, float]]) -> float | None:
    """Sum of the first over sum of the second, exactly rounded and so independent of order."""
    try:
        below = math.fsum(weight for _, weight in parts)
        ratio = math.fsum(value for value, _ in parts) / below if below > 0 else math.nan
    except (OverflowError, ValueError):  # finite numbers near the largest float have no finite sum
        return None
    return ratio if math.isfinite(ratio) else None
