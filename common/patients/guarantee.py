"""Checks that a federation of patients can be trained privately.

They refuse settings that differential privacy forbids, and try the loss on made-up patients.
"""

import numpy as np
import torch

from common.agreement.federation import Federation
from common.errors import GuaranteeError
from common.patients.batch import PatientBatch
from common.patients.declared_sums import bounds


def check_agreement(federation: Federation) -> None:
    """Refuse a federation file whose settings contradict its `privacy` section.

    Raises:
        InputError: naming the setting.
    """
    if federation.privacy is None:
        return
    for rate in federation.model.masks:
        if getattr(federation.model, rate) > 0:
            what = (
                "masks are drawn by place in the batch, from a seed that the coordinator knows: without one patient "
                "all others have other masks, and other gradients"
            )
            raise GuaranteeError(f"model.{rate}", what, "set it to 0: under privacy the noise regularises")
    if federation.training.learn_task_weights and len(federation.tasks) > 1:
        what = "a weight of a task lies outside the layers and has no gradient per patient"
        raise GuaranteeError("training.learn_task_weights", what, "set it to false: tasks then count alike")
    if federation.statistics.explanations != (federation.privacy.explanations_noise_multiplier is not None):
        raise GuaranteeError(
            "privacy.explanations_noise_multiplier",
            "belongs to statistics.explanations = true, and neither works without the other under privacy",
            "set both, the noise to 10 for example, or leave both out",
        )
    if federation.privacy.statistics == "noised":
        _check_ranges(federation)


def _check_ranges(federation: Federation) -> None:
    for modality in federation.modalities:
        if modality.scale == "none":
            continue
        low, high = bounds(modality)
        unlimited = ~(np.isfinite(low) & np.isfinite(high) & (low < high))
        if unlimited.any():
            column = modality.columns[int(unlimited.argmax())]
            what = "noised sums need a limit to what one patient adds, and its values have none"
            remedy = "give it a plausible low and high or a typical range, or use statistics = declared"
            raise GuaranteeError(f"modality {modality.name}, column {column}", what, remedy)


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
