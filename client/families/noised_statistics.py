"""Sums over patients that get normal noise at the gate, for preprocessing.

A patient adds (1, z, z^2) to a triple of sums, with z the value scaled to [-1, 1] by the ends that the federation file
gives (`common.patients.declared_sums.bounds`, `Task.moment_ends`), or (0, 0, 0) where the value is missing. Three such
numbers have a Euclidean norm of at most sqrt(3), so all G triples change by at most sqrt(3 G) when a patient comes or
goes, whatever the patient's table holds. G is one for each numeric column of a clinical table, one for each other table
and one for each quantity of a task, such as the time of a survival task. A table of thousands of genes as thousands of
triples would drown in its own noise: a patient adds the mean over the columns that were measured, and all columns share
one center and spread in units of their ends.

Levels of a category, and columns within [0, 1], are left out: they are small already, and every triple costs noise.
"""

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch
from common.patients.declared_sums import Array, tasks_with_moments
from common.patients.noised_sums import summed


def contributions(batch: PatientBatch, federation: Federation) -> Tensor:
    """Return every patient's part of the sums, [P, 3, G] float64, modalities before tasks."""
    parts = [torch.zeros(len(batch), 3, 0, dtype=torch.float64)]
    for modality in federation.modalities:
        columns, low, high = summed(modality)
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


def bounded_sums(batch: PatientBatch, federation: Federation) -> Array:
    """Return the sums [3 G] of `contributions` over a site's training patients."""
    sums: Array = contributions(batch, federation).sum(0).numpy().reshape(-1)
    return sums


def _scaled(values: Tensor, low: Array, high: Array) -> Tensor:
    """Scale values [P, C] to [-1, 1] in float64, not-a-number to 0.

    The limit must hold for not-a-number too.
    """
    center, half = torch.from_numpy((low + high) / 2), torch.from_numpy((high - low) / 2)
    return ((values.double() - center) / half).clamp(-1, 1).nan_to_num(0.0)


def _mean_over(triples: Tensor) -> Tensor:
    """Return a patient's mean over the columns observed, [P, 3, C] -> [P, 3, 1]."""
    return triples.sum(2, keepdim=True) / triples[:, :1].sum(2, keepdim=True).clamp(min=1)
