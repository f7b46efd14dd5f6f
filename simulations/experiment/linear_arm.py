"""Arm `federated_linear`: the linear scores that first rounds fit, and their number."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from common.agreement.agreement import Agreement
from common.models.shared import SharedModel
from server.records.result import TrainedModel

A = TypeVar("A", bound=Agreement)

Weights = dict[str, NDArray[np.float32]]


ENOUGH = 20
"""Linear rounds after which quasi-Newton steps hardly change the scores."""

NOTE = (
    "The first {rounds} rounds fitted linear scores by exact gradients. In a deployment each hospital must permit them "
    "(policy.maximum_linear_rounds); without them, expect the figures of a simulation with training.linear_rounds=0."
)


def with_linear_rounds(agreed: A) -> A:
    """Let half of the rounds, 20 at most, fit the linear scores, where the file does not say."""
    has_linear_rounds = agreed.changed({"training.linear_rounds": "1"}).linear_rounds == 1
    if agreed.training.linear_rounds is not None or not has_linear_rounds:
        return agreed
    return agreed.changed({"training.linear_rounds": str(min(ENOUGH, agreed.training.rounds // 2))})


def initial_weights(model: SharedModel) -> Weights:
    """Copy the weights of a model that nobody has trained."""
    return {name: tensor.float().numpy().copy() for name, tensor in model.state_dict().items()}


def linear_part(trained: TrainedModel, initial: Weights, model: SharedModel) -> TrainedModel:
    """Return the weights after the last linear round of a federated run.

    No second run is needed: linear rounds change the linear part alone, and later rounds everything but it. So it is
    the linear part of the kept weights, in the model that the run began with.
    """
    linear = {name: trained.weights[name] for name in model.groups().linear}
    return TrainedModel(initial | linear, trained.preprocessing)
