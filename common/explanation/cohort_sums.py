"""Sums of clipped contributions over a hospital's patients, by modality and pathway."""

from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from common.agreement.federation import Federation
from common.assessment.part import Arrays
from common.assessment.patient_view import PatientView
from common.explanation.outcomes import LIMIT, LONGEST, MOST_PATHWAYS, interval_of, outcomes_of
from common.explanation.path import Values
from common.explanation.patient import Patient
from common.explanation.targets import Explained, target_of
from common.models.graphs import Prior
from common.patients.preprocessing import Preprocessing, cells
from common.prediction.network import Network
from common.release.explanation_table import ExplanationTable
from common.tasks.task import OutcomeForm


def computed(view: PatientView, shape: tuple[int, ...]) -> Arrays:
    """Sum up contributions [outcomes, modalities and pathways] over patients.

    What fewer than the least number of patients have a value of is 0; that of a mutation that is not there is none. So
    is what two patients make nearly alone (`common.patients.preprocessing.cells`).

    Args:
        view: of the hospital's patients.
        shape: of the sums.
    """
    rows, measured = _contributions(view, shape)
    rows[:, :, measured < view.least] = 0.0
    flat = torch.from_numpy(rows.reshape(len(rows), -1))
    enough = cells(flat, torch.ones_like(flat, dtype=torch.bool), view.least) >= view.least
    rows *= enough.reshape(shape)
    return {"signed": rows.sum(0), "absolute": np.abs(rows).sum(0)}


def bounded(view: PatientView, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Sum up contributions with their direction and by size, and patients, flat.

    A patient's contributions are shortened to `LONGEST`, so that they do not depend on anybody else.
    """
    rows, _ = _contributions(view, shape)
    flat = rows.reshape(len(rows), -1)
    both = np.nan_to_num(np.concatenate([flat, np.abs(flat)], axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    length = np.sqrt(np.square(both).sum(1, keepdims=True))
    both *= np.minimum(1.0, LONGEST / np.maximum(length, LONGEST))
    return np.append(both.sum(0), float(len(rows)))


def _contributions(
    view: PatientView, shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return clipped contributions [P, outcomes, entries], and patients with a value [entries]."""
    targets = _targets(view.federation, view.prepared)
    prior = view.public if isinstance(view.public, Prior) else Prior({}, {}, {})
    members = _members(view.federation, prior)
    model = deepcopy(view.model).cpu()  # records are there too, wherever the hospital trains
    rows = np.zeros((len(view.patients), *shape))
    measured = np.zeros(shape[1], dtype=np.int64)
    for row in range(len(view.patients)):
        patient = Patient(model, view.standardised.select(torch.tensor([row])))
        seen = {name: (part[0] != 0).double() for name, part in patient.batch.values.items()}
        measured += _entries(view.federation, seen, members, shape[1]) > 0
        for index, target in enumerate(targets):
            values = {name: part / target.spread for name, part in patient.attribution(target).values.items()}
            rows[row, index] = _entries(view.federation, values, members, shape[1]).clip(-LIMIT, LIMIT)
    return rows, measured


def _targets(federation: Federation, prepared: Preprocessing) -> list[Explained]:
    targets = []
    for task, index, _ in outcomes_of(federation):
        cuts = prepared.cuts.get(task.name)
        is_time = task.form is OutcomeForm.TIME_TO_EVENT and cuts is not None
        horizon = float(cuts[interval_of(task) - 1]) if is_time and cuts is not None else None
        targets.append(target_of(task, cuts, horizon, index))
    return targets


def _members(federation: Federation, prior: Prior) -> list[tuple[str, str, Tensor]]:
    """List pathways as (modality, name, members [nodes]), in the order of their numbers."""
    return [
        (modality.name, pathway, row)
        for modality in federation.modalities
        if (of := prior.membership.get(modality.name)) is not None
        for pathway, row in zip(of.pathways, (of.matrix.to_dense() > 0).double(), strict=True)
    ][:MOST_PATHWAYS]


def _entries(
    federation: Federation, values: Values, members: list[tuple[str, str, Tensor]], size: int
) -> NDArray[np.float64]:
    """Sum up values of nodes by modality and then by pathway, [size]."""
    sums = np.zeros(size)
    count = len(federation.modalities)
    sums[:count] = [float(values[modality.name].sum()) for modality in federation.modalities]
    sums[count : count + len(members)] = [float(row @ values[name]) for name, _, row in members]
    return sums


def named(content: bytes, network: Network) -> bytes:
    """Name the pathways of a table by their numbers.

    Raises:
        ValueError: if the table has another form.
    """
    table = ExplanationTable.read(content)
    if table is None:
        raise ValueError("is no table of explanations")
    federation, prior = network.federation, network.public
    assert isinstance(federation, Federation)
    assert isinstance(prior, Prior)
    members = _members(federation, prior)
    outcomes = tuple(
        outcome.model_copy(
            update={
                "pathways": tuple(
                    part.model_copy(
                        update={"modality": members[part.number][0], "pathway": members[part.number][1]}
                    )
                    for part in outcome.pathways
                    if part.number is not None and part.number < len(members)
                )
            }
        )
        for outcome in table.outcomes
    )
    return table.model_copy(update={"outcomes": outcomes}).content()
