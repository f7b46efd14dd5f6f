"""Figures of a model over all sites, from the sites' sums: patients count, not hospitals.

No hospital's sums move the figures of all as it likes: its mean loss counts within reach of the others'.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from common.evaluation.pairs import Pairs
from common.messages.exchange import Numbers
from common.messages.validation import (
    SUMS,
    TRAINING_LOSS,
    VALIDATION_LOSS,
    VALIDATION_PATIENTS,
    comparable,
    concordant,
    pair_names,
)
from server.aggregation.robust import limits, most_undeclared

LEVEL_REACH = 10.0
"""Robust deviations from the median within which a hospital's mean loss counts."""

CHANGE_REACH = 2.0
"""Robust deviations, or standard errors, within which a hospital's change of loss counts.

A hospital of K alike then moves the change of all by 2 / K of its standard error: less than the error of all, which is
1 / sqrt(K) of it and which the choice of weights allows for.
"""


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
        patients: validation patients.
        pairs: by task.
    """

    training_loss: float | None
    loss: float | None
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
            patients=metrics.get(VALIDATION_PATIENTS, 0.0),
            pairs={task: counted for task, counted in pairs.items() if 0 <= counted[0] <= counted[1]},
        )

    def of_fewer(self, most: float) -> "SiteFigures":
        """Return the same means over at most so many patients."""
        if self.patients <= most:
            return self
        share = most / self.patients
        return replace(
            self,
            loss=None if self.loss is None else self.loss * share,
            patients=most,
            pairs={task: Pairs(*(number * share for number in pairs)) for task, pairs in self.pairs.items()},
        )


Figures = Mapping[str, SiteFigures]
"""Site -> the figures of its reply."""


def site_figures(sites: Mapping[str, Numbers], tasks: Sequence[str], sized: bool) -> Figures:
    """Read the known metrics of all sites.

    Args:
        sites: site -> its metrics.
        tasks: whose pairs are read.
        sized: whether the federation file declares sizes; else no site counts for many times the median site.
    """
    figures = {site: SiteFigures.of(metrics, tasks) for site, metrics in sites.items()}
    if sized:
        return figures
    most = most_undeclared([site.patients for site in figures.values() if site.patients > 0])
    return {name: site.of_fewer(most) for name, site in figures.items()}


@dataclass(frozen=True)
class SiteLoss:
    """Mean loss of a model over a site's validation patients.

    Attributes:
        mean: per patient.
        error: its standard error, noise included.
        patients: by which it weighs.
    """

    mean: float
    error: float
    patients: float


Losses = Mapping[str, SiteLoss]
"""Site -> its validation loss."""


def site_losses(sites: Figures, deviation: float = 0.0) -> Losses:
    """Return the validation losses of all sites that have one.

    A loss is the negative logarithm of a likelihood: its standard deviation is taken to be its mean, as that of an
    exponential variable. No site tells how the losses of its patients are spread.

    Args:
        sites: their figures.
        deviation: standard deviation of the noise on a site's sum.
    """
    losses = {}
    for name, site in sites.items():
        if site.patients > 0 and site.loss is not None:
            mean = site.loss / site.patients
            error = math.hypot(mean / math.sqrt(site.patients), deviation / site.patients)
            losses[name] = SiteLoss(mean, error, site.patients)
    return losses


def averaged(rounds: Sequence[Losses]) -> Losses:
    """Return every site's mean loss over the rounds in which it reported one."""
    means = {}
    for name in dict.fromkeys(name for losses in rounds for name in losses):
        reported = [losses[name] for losses in rounds if name in losses]
        mean, error = math.fsum(site.mean for site in reported), math.fsum(site.error for site in reported)
        means[name] = SiteLoss(mean / len(reported), error / len(reported) ** 1.5, reported[-1].patients)
    return means


def pooled(losses: Losses) -> float | None:
    """Return the mean loss per patient over all sites."""
    return _ratio([(site.mean * site.patients, site.patients) for site in losses.values()])


def change(now: Losses, before: Losses) -> float:
    """Return the change of the mean loss per patient, over the sites that told it both times.

    A site's change counts within reach of the others' changes. Where no site told both, it is the difference of means.
    """
    sites = sorted(set(now) & set(before))
    if not sites:
        means = [pooled(losses) for losses in (now, before)]
        return (means[0] or 0.0) - (means[1] or 0.0)
    changes = np.array([now[site].mean - before[site].mean for site in sites])
    error = float(np.median([max(now[site].error, before[site].error) for site in sites]))
    patients = np.array([now[site].patients for site in sites])
    return float(np.average(changes.clip(*limits(changes, CHANGE_REACH, error)), weights=patients))


def levelled(sites: Figures, deviation: float = 0.0) -> Figures:
    """Return figures with every site's mean loss within reach of the others'.

    Noise of `deviation` in every site's sum widens the reach.
    """
    losses = site_losses(sites, deviation)
    if not losses:
        return sites
    means = np.array([loss.mean for loss in losses.values()])
    error = float(np.median([loss.error for loss in losses.values()]))
    lowest, highest = limits(means, LEVEL_REACH, error)
    within = dict(sites)
    for name, mean in zip(losses, means, strict=True):
        if not lowest <= mean <= highest:  # others' sums stay as they came, to the bit
            within[name] = replace(sites[name], loss=sites[name].patients * float(mean.clip(lowest, highest)))
    return within


def validation_loss(sites: Figures) -> float | None:
    """Return the mean loss per validation patient; a site whose loss is not finite is left out."""
    return _ratio(
        [(site.loss, site.patients) for site in sites.values() if site.patients > 0 and site.loss is not None]
    )


def validation_error(sites: Figures) -> float | None:
    """Return the standard error of the mean loss per validation patient, the sites' noise apart.

    A loss is the negative logarithm of a likelihood: its standard deviation is taken to be its mean, as that of an
    exponential variable. No site tells how the losses of its patients are spread.
    """
    mean, patients = validation_loss(sites), _validation_patients(sites)
    return None if mean is None else max(mean, 0.0) / math.sqrt(patients)


def validation_noise(sites: Figures, deviation: float) -> float | None:
    """Return the standard deviation of the noise in the mean loss.

    Every site's sum has noise of `deviation`.
    """
    summed = [site for site in sites.values() if site.patients > 0 and site.loss is not None]
    return deviation * math.sqrt(len(summed)) / _validation_patients(sites) if summed else None


def _validation_patients(sites: Figures) -> float:
    return math.fsum(site.patients for site in sites.values() if site.patients > 0 and site.loss is not None)


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
