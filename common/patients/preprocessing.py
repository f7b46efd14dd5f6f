"""Federated preprocessing: scaling and the losses' constants, computed from sums.

No row leaves a hospital.

A site sends counts and sums. Their totals give exactly the mean and standard deviation of the pooled patients, and the
moments from which a kind of task computes what its loss needs, such as hazard intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST, Modality
from common.evaluation.moments import mean_and_deviation
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.patients.batch import PatientBatch
from common.patients.declared_sums import (
    Array,
    moments_name,
    prepared_tasks,
    rest_name,
    tasks_with_moments,
    tasks_with_rest,
    transformed_range,
    typical,
)
from common.records import moved

DOMINANT = 2
"""Patients whose part of a sum of squares is looked at: count, sum and squares give as many values."""

DOMINANCE = 0.85
"""Largest part of a column's squared distances that so few patients may make up."""


@dataclass(frozen=True)
class Preprocessing:
    """Scaling of the model's inputs, and constants of the tasks' losses.

    Attributes:
        center: modality -> [nodes] float32.
        spread: modality -> [nodes] float32, never 0; infinite where no site could report a node.
        cuts: task -> float32, what the task's loss needs (`Task.prepared_of`), such as ends of hazard intervals.
    """

    center: dict[str, Tensor]
    spread: dict[str, Tensor]
    cuts: dict[str, Tensor]

    def to(self, device: torch.device) -> "Preprocessing":
        """Return the same on a device."""
        parts = (self.center, self.spread, self.cuts)
        return Preprocessing(
            *({name: moved(tensor, device) for name, tensor in part.items()} for part in parts)
        )

    def apply(self, batch: PatientBatch) -> PatientBatch:
        """Standardise the values of a batch.

        A value that is not observed, or whose node has no finite spread, becomes 0 and not observed.
        """
        observed = {name: seen & self.spread[name].isfinite() for name, seen in batch.observed.items()}
        values = {
            name: ((raw - self.center[name]) / self.spread[name]).clamp(-LARGEST, LARGEST) * observed[name]
            for name, raw in batch.values.items()
        }
        return PatientBatch(values, observed, batch.labels, batch.labelled)


def pack_preprocessing(preprocessing: Preprocessing) -> Arrays:
    """Preprocessing as named float32 arrays."""
    return {
        f"{kind}:{name}": tensor.numpy()
        for kind in ("center", "spread", "cuts")
        for name, tensor in getattr(preprocessing, kind).items()
    }


def unpack_preprocessing(arrays: Arrays) -> Preprocessing:
    """The inverse of `pack_preprocessing`."""
    parts: dict[str, dict[str, Tensor]] = {"center": {}, "spread": {}, "cuts": {}}
    for key, array in arrays.items():
        kind, _, name = key.partition(":")
        parts[kind][name] = torch.from_numpy(np.array(array, dtype=np.float32))
    return Preprocessing(**parts)


def site_statistics(batch: PatientBatch, federation: Federation, least: int | None = None) -> SiteStatistics:
    """Sum statistics over a site's patients.

    Sums of a cell with fewer than `least` patients (`statistics.minimum_count`) are withheld; `cells` counts them.
    Of a category all levels are withheld if one is, because the levels add up to the whole.
    """
    least = federation.statistics.minimum_count if least is None else least
    moments: dict[str, Array] = {}
    withheld: dict[str, int] = {}

    def keep(name: str, sums: Array, smallest_cell: Array) -> None:
        enough = smallest_cell >= least
        moments[name] = np.where(enough, sums, 0.0)
        withheld[name] = int((~enough).sum())

    for modality in federation.modalities:
        if modality.scale == "none":
            continue
        values = batch.values[modality.name].double()
        count = batch.observed[modality.name].sum(0).double()
        sums = torch.stack([count, values.sum(0), values.square().sum(0)]).numpy()
        cell = cells(values, batch.observed[modality.name], least)
        start = len(modality.columns)
        for levels in modality.categories.values():
            cell[start : start + len(levels)] = cell[start : start + len(levels)].min()
            start += len(levels)
        keep(f"modality:{modality.name}", sums, cell)
    quantities = [(moments_name(task), task, task.moment_values) for task in tasks_with_moments(federation)]
    quantities += [(rest_name(task), task, task.rest_values) for task in tasks_with_rest(federation)]
    for name, task, values_of in quantities:
        labels, labelled = batch.labels[task.name], batch.labelled[task.name]
        keep(name, _task_sums(values_of, labels, labelled), cells(*values_of(labels, labelled), least))
    return SiteStatistics(moments, withheld)


_Values = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Function of labels and mask to quantities [P, M] and who has them."""


def _task_sums(values_of: _Values, labels: Tensor, labelled: Tensor) -> Array:
    """Moments [3, M] of a task's quantities over the patients who have them."""
    _, seen = values_of(labels, labelled)
    columns = []
    for column, rows in enumerate(seen.unbind(1)):
        values = values_of(labels[rows], labelled[rows])[0][:, column].contiguous()
        columns.append(torch.stack([torch.ones_like(values), values, values.square()]).sum(1, keepdim=True))
    return torch.cat(columns, dim=1).numpy()


def cells(values: Tensor, observed: Tensor, least: int) -> Array:
    """Patients [N] behind count, sum and sum of squares of each column of values [patients, N].

    They are the patients outside the commonest value: a value that most share, such as the end of a clip, is known,
    and the sums are then equations for the others alone. Where all share one value, they are all patients.

    Nobody is counted where the (n, k)-dominance rule of statistical disclosure control (Hundepool et al. 2012) finds
    the column sensitive: the `DOMINANT` patients farthest from the median, or `least` - 1 if that is less, make up
    more than `DOMINANCE` of the squared distances from it, and the sums nearly give their values.
    """
    patients, columns = values.shape
    if not patients:
        return np.zeros(columns)
    number = observed.sum(0)
    ordered = values.masked_fill(~observed, torch.inf).sort(0).values
    position = torch.arange(patients)[:, None]
    is_first = torch.cat([torch.ones(1, columns, dtype=torch.bool), ordered[1:] != ordered[:-1]])
    run = position - position.where(is_first, 0).cummax(0).values + 1
    outside = number - run.where(position < number, 0).amax(0)
    cells = outside.where(outside > 0, number)
    median = ordered.gather(0, (number - 1).clamp(min=0)[None] // 2)
    squares = (values - median).square().masked_fill(~observed, 0.0)
    farthest = squares.topk(min(DOMINANT, least - 1, patients), 0).values.sum(0)
    return cells.where(farthest <= DOMINANCE * squares.sum(0), 0).double().numpy()


def combine(sites: Sequence[SiteStatistics], federation: Federation) -> Preprocessing:
    """Combine all sites' sums into the preprocessing of the federation.

    A node that no site could report keeps center 0 and spread 1 if its plausible range is narrow enough for that (a
    level, a 0/1 column); otherwise its spread is infinite, and nobody's value of it is used. Where sums are noised,
    what no site could report is as `declared`: small sites drown in the noise and can report little.

    Raises:
        InputError: if no site could report enough of a task, such as events to position hazard intervals.
    """
    noised = federation.privacy is not None and federation.privacy.statistics == "noised"
    fallback = declared(federation) if noised else None
    total = {name: np.sum([site.moments[name] for site in sites], axis=0) for name in sites[0].moments}
    center: dict[str, Tensor] = {}
    spread: dict[str, Tensor] = {}
    for modality in federation.modalities:
        sums = total.get(f"modality:{modality.name}", np.zeros((3, len(modality.nodes))))
        mean, deviation = mean_and_deviation(sums)
        constant = deviation <= 1e-6 * np.abs(mean)  # below what the sums resolve, whatever the unit
        deviation = np.where(constant, 1.0, deviation)
        if modality.scale == "standard":
            deviation[(sums[0] == 0) & is_wide(modality)] = np.inf
        center[modality.name] = torch.from_numpy(mean).float()
        spread[modality.name] = torch.from_numpy(deviation).float()
        if fallback is not None:
            unknown = torch.from_numpy(sums[0] == 0)
            for joint, declared_part in ((center, fallback.center), (spread, fallback.spread)):
                joint[modality.name] = torch.where(
                    unknown, declared_part[modality.name], joint[modality.name]
                )
    cuts = {}
    for task in prepared_tasks(federation):
        sums = total.get(moments_name(task), np.zeros((3, 0)))
        if fallback is not None and not sums[0].all():
            cuts[task.name] = fallback.cuts[task.name]
        else:
            cuts[task.name] = task.prepared_of(sums)
    return Preprocessing(center, spread, cuts)


def declared(federation: Federation) -> Preprocessing:
    """Preprocessing from the federation file alone, without any patient's data.

    A numeric column's typical range, after the modality's transform and clip, is its mean plus and minus one standard
    deviation. A column without one stays as it is (center 0, spread 1) within `LARGEST`, such as a clipped z-score or
    a 0/1 column; a wider range is taken for six standard deviations; without a range the column is not used, unless a
    logarithm has made it small. Levels of a category stay 0 and 1. Tasks: see `Task.declared`.
    """
    center: dict[str, Tensor] = {}
    spread: dict[str, Tensor] = {}
    for modality in federation.modalities:
        middle, deviation = np.zeros(len(modality.nodes)), np.ones(len(modality.nodes))
        if modality.scale == "standard":
            columns = len(modality.columns)
            middle[:columns], deviation[:columns] = _declared_columns(modality)
        center[modality.name] = torch.from_numpy(middle).float()
        spread[modality.name] = torch.from_numpy(deviation).float()
    cuts = {task.name: task.declared() for task in prepared_tasks(federation)}
    return Preprocessing(center, spread, cuts)


def _declared_columns(modality: Modality) -> tuple[Array, Array]:
    """Center and spread [columns] that the federation file declares."""
    low, high = transformed_range(modality)
    bounded = np.isfinite(low) & np.isfinite(high)
    scaled = bounded & (np.maximum(-low, high) > LARGEST)
    low, high = np.where(scaled, (low, high), 0.0)
    unused = ~bounded & is_wide(modality)[: len(low)]
    spread = np.where(unused, np.inf, np.where(scaled, (high - low) / 6, 1.0))
    return typical(modality, (low + high) / 2, spread)


def is_wide(modality: Modality) -> NDArray[np.bool_]:
    """[nodes] whether transformed and clipped values may lie beyond `LARGEST`."""
    wide = []
    for column in modality.columns:
        plausible = modality.plausible_for(column)
        ends = modality.clip or (plausible.low, plausible.high)
        wide.append(modality.transform == "none" and any(end is None or abs(end) > LARGEST for end in ends))
    return np.array(wide + [False] * (len(modality.nodes) - len(wide)))
