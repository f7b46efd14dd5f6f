"""Canary patients of the audit: extreme, contradictory, and unlike one another.

Differential privacy is promised for every patient that the model accepts, so the audit inserts patients who leave the
clearest trace: all values at the end of the standardised range with random signs, and labels drawn regardless of
them. Their gradients are far above any clip norm. In many columns random signs are nearly orthogonal, and so are the
gradients, which contain the values as a factor: one canary's trace is not covered by another's.
"""

import numpy as np
import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST
from common.patients.batch import PatientBatch


def make_canaries(
    federation: Federation, cuts: dict[str, Tensor], count: int, rng: np.random.Generator
) -> PatientBatch:
    """Make `count` standardised patients with every modality observed and every task labelled.

    Args:
        federation: agreement of the patients.
        cuts: survival task -> ends of its hazard intervals; times are drawn up to the last end.
        count: number of canaries.
        rng: generator of signs and labels.
    """
    values, observed, labels, labelled = {}, {}, {}, {}
    for modality in federation.modalities:
        shape = (count, len(modality.nodes))
        values[modality.name] = torch.from_numpy(rng.choice((-LARGEST, LARGEST), size=shape)).float()
        observed[modality.name] = torch.ones(shape, dtype=torch.bool)
    for task in federation.tasks:
        drawn = torch.from_numpy(task.made_up_labels(count, rng, cuts.get(task.name))).float()
        labels[task.name], labelled[task.name] = drawn, torch.ones(drawn.shape, dtype=torch.bool)
    return PatientBatch(values, observed, labels, labelled)
