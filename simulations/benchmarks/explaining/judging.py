"""Explanations of one patient, judged for every task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.explanation.agreement import mean_attribution
from common.explanation.explain import explain
from common.explanation.explanation import Explanation
from common.explanation.path import Attribution
from common.explanation.patient import Patient
from common.explanation.targets import Explained
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.tasks.task import OutcomeForm
from simulations.benchmarks.explaining.measures import agreement, deletion, random_deletion, shuffled

DRAWS = 8
"""Random orders of deletion of a patient."""

SMALLEST = 1e-12
"""Difference below which a gap is no share of it."""


@dataclass(frozen=True)
class PatientFigures:
    """Figures of one patient's explanation of one task.

    Attributes:
        explanation: of the product.
        seconds: that the explanation of all tasks took.
        gap: its size, as a share of the difference.
        deletion: (scores, share) -> how much higher the number is without what lowers it than without what raises it.
        signed: rank correlation of contributions with those of a shuffled network.
        unsigned: the same of their sizes.
        members: contributions of every training, modality -> [nodes].
        values: standardised, modality -> [nodes].
    """

    explanation: Explanation
    seconds: float
    gap: float
    deletion: dict[tuple[str, float], float]
    signed: float
    unsigned: float
    members: tuple[Mapping[str, Tensor], ...]
    values: Mapping[str, Tensor]


def judge(network: Network, raw: PatientBatch, shares: Sequence[float], seed: int) -> list[PatientFigures]:
    """Explain a patient and judge the explanation of every task.

    Args:
        network: a model or an ensemble.
        raw: the patient.
        shares: of the patient's nodes that are deleted.
        seed: of the shuffled network and of random orders.
    """
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    horizons = {
        task.name: (float(prepared.cuts[task.name][task.outputs // 2]),)
        if task.form is OutcomeForm.TIME_TO_EVENT
        else ()
        for task in federation.tasks
    }
    heard: list[tuple[Sequence[Explained], Sequence[Attribution]]] = []
    began = perf_counter()
    made = explain(network, raw, horizons, lambda *number: heard.append(number))
    seconds = perf_counter() - began
    members = [Patient(member.model, _prepared(member).apply(raw)) for member in network.members]
    other = Patient(shuffled(network.model, seed), members[0].batch)
    judged = []
    for (asked, alone), explanation in zip(heard, made, strict=True):
        signed, unsigned = agreement(alone[0].values, other.attribution(asked[0]).values)
        judged.append(
            PatientFigures(
                explanation=explanation,
                seconds=seconds,
                gap=abs(explanation.gap) / max(abs(explanation.patient - explanation.mean), SMALLEST),
                deletion=_deletions(members, asked, mean_attribution(alone), shares, seed),
                signed=signed,
                unsigned=unsigned,
                members=tuple(attribution.values for attribution in alone),
                values={name: part[0].double() for name, part in members[0].batch.values.items()},
            )
        )
    return judged


def _deletions(
    members: Sequence[Patient],
    asked: Sequence[Explained],
    attribution: Attribution,
    shares: Sequence[float],
    seed: int,
) -> dict[tuple[str, float], float]:
    values = members[0].batch.values
    sizes = [part.shape[1] for part in values.values()]

    def number(kept: Tensor) -> Tensor:
        parts = dict(zip(values, kept.split(sizes, 1), strict=True))
        answers = [
            of.at(target, {name: part * of.batch.values[name] for name, part in parts.items()})
            for of, target in zip(members, asked, strict=True)
        ]
        return torch.stack(answers).mean(0)

    scores = {"contributions": attribution.values, "linear scores": attribution.linear, "values": values}
    return {(name, share): deletion(number, of, share) for name, of in scores.items() for share in shares} | {
        ("random", share): random_deletion(number, sum(sizes), share, DRAWS, seed) for share in shares
    }


def _prepared(network: Network) -> Preprocessing:
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    return prepared
