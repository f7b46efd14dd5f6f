"""Checks that a federation of patients can be trained privately.

They refuse settings that differential privacy forbids, and try the loss on made-up patients.
"""

from collections.abc import Iterator

import numpy as np
import torch

from common.agreed import Problem
from common.agreement.federation import Federation
from common.errors import GuaranteeError
from common.patients.batch import PatientBatch
from common.patients.declared_sums import bounds

SHOWN = 5
"""Columns that a message names one by one."""


def contradictions(federation: Federation) -> Iterator[Problem]:
    """Settings of a federation file that contradict its `privacy` section; none without one."""
    if federation.privacy is None:
        return
    for rate in federation.model.masks:
        if getattr(federation.model, rate) > 0:
            what = (
                f"is {getattr(federation.model, rate):g} under privacy, and masks are drawn by place in the "
                "batch, from "
                "a seed that the coordinator knows: without one patient all others have other masks, and other "
                "gradients"
            )
            yield Problem(("model", rate), what, f"write {rate} = 0.0: under privacy the noise regularises")
    if federation.training.learn_task_weights and len(federation.tasks) > 1:
        what = "is true under privacy, and a weight of a task lies outside the layers and has no gradient per patient"
        remedy = "write learn_task_weights = false: tasks then count alike"
        yield Problem(("training", "learn_task_weights"), what, remedy)
    if federation.statistics.explanations != (federation.privacy.explanations_noise_multiplier is not None):
        what = "belongs to statistics.explanations = true, and neither works without the other under privacy"
        remedy = "set both, the noise to 10 for example, or leave both out"
        yield Problem(("privacy", "explanations_noise_multiplier"), what, remedy)
    if federation.privacy.statistics == "noised":
        yield from _unlimited(federation)


def check_agreement(federation: Federation) -> None:
    """Refuse a federation file whose settings contradict its `privacy` section.

    Raises:
        GuaranteeError: naming the first such setting.
    """
    for problem in contradictions(federation):
        raise GuaranteeError(".".join(map(str, problem.key)), problem.what, problem.remedy)


def _unlimited(federation: Federation) -> Iterator[Problem]:
    for number, modality in enumerate(federation.modalities):
        if modality.scale == "none":
            continue
        low, high = bounds(modality)
        unlimited = ~(np.isfinite(low) & np.isfinite(high) & (low < high))
        columns = [modality.columns[index] for index in np.flatnonzero(unlimited)]
        if columns:
            shown = ", ".join(columns[:SHOWN]) + (
                f" and {len(columns) - SHOWN} more" if columns[SHOWN:] else ""
            )
            what = (
                f"has no limits for {shown} of modality {modality.name}, and noised sums need a limit to what one "
                "patient adds"
            )
            remedy = (
                "give ranges or plausible a low and a high, or a typical range, or use statistics = declared"
            )
            yield Problem(("modalities", number, "ranges"), what, remedy)


def made_up_patients(federation: Federation, patients: int = 3) -> PatientBatch:
    """Made-up patients for `check_objective`, the last of whom lacks every other modality."""
    draw = torch.Generator().manual_seed(0)
    values, observed = {}, {}
    for index, modality in enumerate(federation.modalities):
        shape = (patients, len(modality.nodes))
        seen = torch.rand(shape, generator=draw) > 0.2
        seen[-1] &= index % 2 == 0
        values[modality.name] = torch.randn(shape, generator=draw) * seen
        observed[modality.name] = seen
    labels, rng = {}, np.random.default_rng(0)
    for task in federation.tasks:
        labels[task.name] = torch.from_numpy(task.made_up_labels(patients, rng, None)).float()
    return PatientBatch(
        values, observed, labels, {name: torch.ones_like(t).bool() for name, t in labels.items()}
    )
