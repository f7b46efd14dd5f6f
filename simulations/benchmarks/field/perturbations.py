"""Perturbations of held-out patients: noise, missing values, and a missing modality."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch

NOISE = (0.25, 0.5, 1.0)
"""Standard deviations of noise on a value, in those of its column."""

MISSING = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of values that are missing."""


@dataclass(frozen=True)
class Perturbation:
    """Perturbation of standardised patients.

    Attributes:
        kind: in tables.
        level: how much, or of which modality; empty for none.
        apply: makes the perturbed patients, by a seed.
    """

    kind: str
    level: str
    apply: Callable[[PatientBatch, int], PatientBatch]


def perturbations(federation: Federation) -> list[Perturbation]:
    """List no perturbation, and every kind at all levels."""
    names = [modality.name for modality in federation.modalities]
    gone = [Perturbation("missing modality", name, without_modality(name)) for name in names]
    return [
        Perturbation("none", "", lambda patients, seed: patients),
        *(Perturbation("feature noise", f"{level:g}", with_noise(level)) for level in NOISE),
        *(Perturbation("missing values", f"{share:.0%}", with_missing(share)) for share in MISSING),
        *(gone if len(names) > 1 else ()),
    ]


def with_noise(deviations: float) -> Callable[[PatientBatch, int], PatientBatch]:
    """Add normal noise to every observed value, in standard deviations of its column."""

    def apply(patients: PatientBatch, seed: int) -> PatientBatch:
        draw = torch.Generator().manual_seed(seed)
        values = {}
        for name, cells in patients.values.items():
            observed = patients.observed[name].to(cells.dtype)
            count = observed.sum(0).clamp(min=1)
            mean = (cells * observed).sum(0) / count
            spread = (((cells - mean) ** 2 * observed).sum(0) / count).sqrt()
            noise = torch.randn(cells.shape, generator=draw) * spread * deviations
            values[name] = cells + noise * observed
        return PatientBatch(values, patients.observed, patients.labels, patients.labelled)

    return apply


def with_missing(share: float) -> Callable[[PatientBatch, int], PatientBatch]:
    """Take away a share of the observed values."""

    def apply(patients: PatientBatch, seed: int) -> PatientBatch:
        draw = torch.Generator().manual_seed(seed)
        observed = {
            name: mask & (torch.rand(mask.shape, generator=draw) >= share)
            for name, mask in patients.observed.items()
        }
        return _observed_alone(patients, observed)

    return apply


def without_modality(name: str) -> Callable[[PatientBatch, int], PatientBatch]:
    """Take away a modality."""

    def apply(patients: PatientBatch, seed: int) -> PatientBatch:
        gone = torch.zeros_like(patients.observed[name])
        return _observed_alone(patients, patients.observed | {name: gone})

    return apply


def _observed_alone(patients: PatientBatch, observed: dict[str, torch.Tensor]) -> PatientBatch:
    """Return the patients with values where observed, and 0 elsewhere."""
    values = {name: cells * observed[name] for name, cells in patients.values.items()}
    return PatientBatch(values, observed, patients.labels, patients.labelled)
