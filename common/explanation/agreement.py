"""Agreement of several trainings on the values that matter most to a prediction.

Two trainings that predict alike may follow different values; what most of them name is worth reading.
"""

from collections.abc import Sequence
from itertools import combinations
from math import ceil

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.counting import counted
from common.explanation.path import Attribution, Values
from common.explanation.record import ExplanationRecord
from common.patients.batch import PatientBatch

TOP = 0.1
"""Share of a patient's values that counts as those that matter most."""

LEAST_IN_COMMON = 0.7
"""Share of them that members have in common, below which an explanation is unstable."""


class SeedAgreement(ExplanationRecord):
    """Agreement of the members of an ensemble on one patient's reasons.

    Attributes:
        models: number of members.
        values: number of the values that matter most to one member: a tenth of the patient's.
        in_common: share of them that two members have in common, the mean over pairs.
        same_direction: share of the values that matter most to their mean which raise the number in both of two
            members, or lower it in both; the mean over pairs.
        unstable: whether members have too little in common.
    """

    models: int
    values: int
    in_common: float
    same_direction: float
    unstable: bool

    def line(self) -> str:
        """Write the agreement as a line."""
        verdict = (
            "UNSTABLE, another training would give other reasons"
            if self.unstable
            else "another training would give much the same reasons"
        )
        matter = "matters" if self.values == 1 else "matter"
        return (
            f"of the {counted(self.values, 'value')} that {matter} most to one of {self.models} trainings of the model,"
            f" {self.in_common:.0%} matter most to another too ({TOP:.0%} by chance), and"
            f" {self.same_direction:.0%} point the same way: {verdict}"
        )


def mean_attribution(attributions: Sequence[Attribution]) -> Attribution:
    """Return the mean over attributions of one patient."""
    first, number = attributions[0], len(attributions)
    return Attribution(
        {name: torch.stack([a.values[name] for a in attributions]).mean(0) for name in first.values},
        {name: torch.stack([a.linear[name] for a in attributions]).mean(0) for name in first.linear},
        sum(a.start for a in attributions) / number,
        sum(a.end for a in attributions) / number,
        max(a.steps for a in attributions),
        first.slack,
    )


def agreement_of(
    federation: Federation, patient: PatientBatch, contributions: Sequence[Values]
) -> SeedAgreement | None:
    """Compare the contributions of an ensemble's members.

    Args:
        federation: the agreement.
        patient: one, with what is observed.
        contributions: of every member, modality -> [nodes].

    Returns:
        The agreement; None of a single model, of which it is not known.
    """
    if len(contributions) < 2:
        return None
    seen = by_column(federation, {name: mask[0].double() for name, mask in patient.observed.items()}) > 0
    columns = torch.stack([by_column(federation, values)[seen] for values in contributions])
    count = max(1, ceil(TOP * columns.shape[1]))
    top = [set(sizes.topk(count).indices.tolist()) for sizes in columns.abs()]
    shared = [len(first & second) / count for first, second in combinations(top, 2)]
    signs = columns[:, columns.mean(0).abs().topk(count).indices].sign()
    same = [float((first == second).double().mean()) for first, second in combinations(signs, 2)]
    in_common = sum(shared) / len(shared)
    return SeedAgreement(
        models=len(contributions),
        values=count,
        in_common=in_common,
        same_direction=sum(same) / len(same),
        unstable=in_common < LEAST_IN_COMMON,
    )


def by_column(federation: Federation, numbers: Values) -> Tensor:
    """Sum numbers of nodes over levels of categories.

    Returns:
        [columns of all modalities], in the file's order.
    """
    parts = []
    for modality in federation.modalities:
        nodes, first = numbers[modality.name], len(modality.columns)
        levels = [len(names) for names in modality.categories.values()]
        parts += [nodes[:first], *(part.sum(0, keepdim=True) for part in nodes[first:].split(levels))]
    return torch.cat(parts)
