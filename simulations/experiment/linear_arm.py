"""Arm `federated_linear`: the linear scores that first rounds fit, without the network."""

import numpy as np
from numpy.typing import NDArray

from common.models.shared import SharedModel
from server.records.result import TrainedModel

Weights = dict[str, NDArray[np.float32]]


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
