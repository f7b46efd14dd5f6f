"""Sums over patients with normal noise, for preprocessing; they cost a part of epsilon.

A patient adds (1, z, z^2) to a triple of sums, with z the value scaled to [-1, 1] by the ends that the federation file
gives (`common.patients.declared_sums.bounds`, `Task.moment_ends`), or (0, 0, 0) where the value is missing. Three such
numbers have a Euclidean norm of at most sqrt(3), so all G triples change by at most sqrt(3 G) when a patient comes or
goes, whatever the patient's table holds. G is one for each numeric column of a clinical table, one for each other table
and one for each quantity of a task, such as the time of a survival task. A table of thousands of genes as thousands of
triples would drown in its own noise: a patient adds the mean over the columns that were measured, and all columns share
one center and spread in units of their ends.

Levels of a category, and columns within [0, 1], are left out: they are small already, and every triple costs noise.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.privacy.randomness import SecretRandom
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.messages.statistics import SiteStatistics
from common.patients.batch import PatientBatch
from common.patients.declared_sums import Array, bounds, moments_name, tasks_with_moments

TOO_FEW = 5.0
"""Standard deviations of noise below which a count is taken for 0.

The mean is then known to a fifth of the half range. At three, every thousandth count of nobody would pass, and a mean
known to a third of the half range says less than what is declared.
"""


LEAST_VARIANCE = 0.01
"""Least variance of z, for a variance that noise has made smaller or negative."""


def sensitivity(federation: Federation) -> float:
    """Return the largest Euclidean norm of one patient's change to the sum of `contributions`."""
    return math.sqrt(3 * _triples(federation))


def contributions(batch: PatientBatch, federation: Federation) -> Tensor:
    """Return every patient's part of the sums, [P, 3, G] float64, modalities before tasks."""
    parts = [torch.zeros(len(batch), 3, 0, dtype=torch.float64)]
    for modality in federation.modalities:
        columns, low, high = _summed(modality)
        if len(columns):
            seen = batch.observed[modality.name][:, columns].double()
            z = _scaled(batch.values[modality.name][:, columns], low, high) * seen
            triples = torch.stack([seen, z, z.square()], dim=1)
            parts.append(triples if modality.node_kind.scaled_alone else _mean_over(triples))
    for task in tasks_with_moments(federation):
        values, has_value = task.moment_values(batch.labels[task.name], batch.labelled[task.name])
        seen = has_value.double()
        z = _scaled(values, *task.moment_ends()) * seen
        parts.append(torch.stack([seen, z, z.square()], dim=1))
    return torch.cat(parts, dim=2)


def noised_statistics(
    batch: PatientBatch, federation: Federation, noise_multiplier: float, secret: SecretRandom
) -> SiteStatistics:
    """Sum over the patients of a site by the normal mechanism.

    Names and shapes are those of `common.patients.preprocessing.site_statistics`.

    Noise of standard deviation noise_multiplier x `sensitivity` is added to every sum. What follows uses the noised
    sums alone: a count below `TOO_FEW` deviations of its noise becomes 0, as if nothing had been reported; a mean is
    kept between the ends and a variance above `LEAST_VARIANCE`.

    Args:
        batch: the site's training patients, before preprocessing.
        federation: gives every column that is summed two ends (`common.patients.guarantee.check_agreement`).
        noise_multiplier: standard deviation of the noise over the most that one patient can change.
        secret: where the noise comes from.
    """
    exact = contributions(batch, federation).sum(0)
    deviation = noise_multiplier * sensitivity(federation)
    noised = exact.numpy() + deviation * secret.normal(exact.numel()).reshape(exact.shape)
    moments: dict[str, Array] = {}
    start = 0
    for modality in federation.modalities:
        if modality.scale == "none":
            continue
        columns, low, high = _summed(modality)
        sums = moments[f"modality:{modality.name}"] = np.zeros((3, len(modality.nodes)))
        width = _width(modality)
        sums[:, columns] = _unscaled(noised[:, start : start + width], low, high, TOO_FEW * deviation)
        start += width
    for task in tasks_with_moments(federation):
        end = start + task.moment_columns
        moments[moments_name(task)] = _unscaled(
            noised[:, start:end], *task.moment_ends(), TOO_FEW * deviation
        )
        start = end
    return SiteStatistics(moments, dict.fromkeys(moments, 0))


def _summed(modality: Modality) -> tuple[NDArray[np.intp], Array, Array]:
    """Return indices [C] of summed columns and their ends [C] after transform and clip."""
    low, high = bounds(modality)
    chosen = (low < 0) | (high > 1)
    if modality.scale == "none":
        chosen[:] = False
    return chosen.nonzero()[0], low[chosen], high[chosen]


def _width(modality: Modality) -> int:
    """Return the number of triples of a modality."""
    columns = len(_summed(modality)[0])
    return columns if modality.node_kind.scaled_alone else min(columns, 1)


def _triples(federation: Federation) -> int:
    tasks = sum(task.moment_columns for task in federation.tasks)
    return sum(map(_width, federation.modalities)) + tasks


def _scaled(values: Tensor, low: Array, high: Array) -> Tensor:
    """Scale values [P, C] to [-1, 1] in float64, not-a-number to 0.

    The limit must hold for not-a-number too.
    """
    center, half = torch.from_numpy((low + high) / 2), torch.from_numpy((high - low) / 2)
    return ((values.double() - center) / half).clamp(-1, 1).nan_to_num(0.0)


def _mean_over(triples: Tensor) -> Tensor:
    """Return a patient's mean over the columns observed, [P, 3, C] -> [P, 3, 1]."""
    return triples.sum(2, keepdim=True) / triples[:, :1].sum(2, keepdim=True).clamp(min=1)


def _unscaled(noised: Array, low: Array, high: Array, least: float) -> Array:
    """Return sums [3, C] in the columns' units from noised sums of z [3, C or 1].

    Columns with a small count get 0.
    """
    count, total, squares = noised
    sufficient = count >= max(least, 1.0)
    count = np.where(sufficient, count, 1.0)
    mean = (total / count).clip(-1, 1)
    variance = (squares / count - mean**2).clip(LEAST_VARIANCE, 1)
    center, half = (low + high) / 2, (high - low) / 2
    mean, variance = center + half * mean, half**2 * variance
    sums = np.stack(np.broadcast_arrays(count, count * mean, count * (variance + mean**2)))
    return np.where(sufficient, sums, 0.0)
