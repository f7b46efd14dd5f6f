"""Largest contributions: of columns, and of pathways beside their occlusion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST, Modality
from common.explanation.explanation import ColumnContribution, PathwayContribution
from common.explanation.path import Attribution, Values
from common.models.graphs import Membership
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing

SHOWN = 5
"""Reasons on either side."""

R = TypeVar("R", ColumnContribution, PathwayContribution)

Sides = tuple[tuple[R, ...], tuple[R, ...]]


def value_reasons(
    federation: Federation, prepared: Preprocessing, raw: PatientBatch, attribution: Attribution
) -> tuple[tuple[ColumnContribution, ...], tuple[ColumnContribution, ...], float]:
    """List the columns that raise and lower a number most, and sum up all others.

    Args:
        federation: the agreement.
        prepared: scaling.
        raw: the patient, before it.
        attribution: of the patient.
    """
    reasons = [
        reason
        for modality in federation.modalities
        for reason in _of_modality(modality, prepared, raw, attribution)
    ]
    higher, lower = _sides(reasons)
    listed = sum(reason.contribution for reason in (*higher, *lower))
    return higher, lower, sum(reason.contribution for reason in reasons) - listed


def _of_modality(
    modality: Modality, prepared: Preprocessing, raw: PatientBatch, attribution: Attribution
) -> Iterator[ColumnContribution]:
    name = modality.name
    whole, linear = attribution.values[name], attribution.linear[name]
    values, seen = raw.values[name][0], raw.observed[name][0]
    standardised = (values - prepared.center[name]) / prepared.spread[name]
    for node, column in enumerate(modality.columns):
        if not (bool(seen[node]) and bool(prepared.spread[name][node].isfinite())):
            continue
        size = float(standardised[node])
        yield ColumnContribution(
            modality=name,
            column=column,
            contribution=float(whole[node]),
            linear=float(linear[node]),
            value=_shown(modality, column, float(values[node])),
            deviations=max(-LARGEST, min(LARGEST, size)) if modality.scale == "standard" else None,
            clamped=abs(size) >= LARGEST,
        )
    start = len(modality.columns)
    for column, levels in modality.categories.items():
        nodes = slice(start, start + len(levels))
        start += len(levels)
        if not bool(seen[nodes].any()):
            continue
        yield ColumnContribution(
            modality=name,
            column=column,
            contribution=float(whole[nodes].sum()),
            linear=float(linear[nodes].sum()),
            value=levels[int(values[nodes].argmax())],
            deviations=None,
            clamped=bool((standardised[nodes].abs() >= LARGEST).any()),
        )


def _shown(modality: Modality, column: str, value: float) -> str:
    """Write a value in its unit; empty where it is not the hospital's own any more."""
    if modality.changes_values:
        return ""
    if modality.are_rare_events:
        return "yes" if value else "no"
    return f"{value:.4g} {modality.plausible_for(column).unit}".rstrip()


def pathway_reasons(
    membership: Mapping[str, Membership],
    patient: PatientBatch,
    attribution: Attribution,
    lost: Callable[[Values], Tensor],
) -> Sides[PathwayContribution]:
    """List the pathways whose members raise and lower a number most, beside their occlusion.

    Args:
        membership: modality -> members of pathways.
        patient: with standardised values, [1, nodes].
        attribution: of the patient.
        lost: which values stay, [rows, nodes] by modality with 0 and 1 -> what the number loses by it, [rows].
    """
    members = {name: _members(of) for name, of in membership.items()}
    reasons = [
        PathwayContribution(
            modality=name, pathway=pathway, measured=measured, contribution=total, occluded=0.0
        )
        for name, of in membership.items()
        for pathway, total, measured in zip(
            of.pathways,
            (members[name].double() @ attribution.values[name]).tolist(),
            (members[name] & patient.observed[name][0]).sum(1).tolist(),
            strict=True,
        )
        if measured
    ]
    higher, lower = _sides(reasons)
    shown = [*higher, *lower]
    if not shown:
        return (), ()
    kept = {name: torch.ones_like(part).repeat(len(shown), 1) for name, part in patient.values.items()}
    for row, reason in enumerate(shown):
        pathway = membership[reason.modality].pathways.index(reason.pathway)
        kept[reason.modality][row, members[reason.modality][pathway]] = 0.0
    occluded = [
        reason.model_copy(update={"occluded": float(loss)})
        for reason, loss in zip(shown, lost(kept), strict=True)
    ]
    return tuple(occluded[: len(higher)]), tuple(occluded[len(higher) :])


def _members(of: Membership) -> Tensor:
    """Return which nodes are in a pathway, [pathways, nodes] bool."""
    dense: Tensor = of.matrix.to_dense() > 0
    return dense


def _sides(reasons: Sequence[R]) -> Sides[R]:
    """Return the largest contributions above 0, and those below."""
    ordered = sorted(reasons, key=lambda reason: -reason.contribution)
    higher = tuple(reason for reason in ordered[:SHOWN] if reason.contribution > 0)
    lower = tuple(reason for reason in ordered[::-1][:SHOWN] if reason.contribution < 0)
    return higher, lower
