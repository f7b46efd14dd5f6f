"""Predictions of a trained model for raw patients."""

import torch

from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.evaluation.predictions import Prediction
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.patients.preprocessing import unpack_preprocessing
from server.records.result import TrainedModel


def predict(
    trained: TrainedModel, model: FederatedModel, federation: Federation, patients: PatientBatch
) -> dict[str, Prediction]:
    """Predict raw patients by task, with `model` as the body for the trained weights."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in trained.weights.items()})
    preprocessing = unpack_preprocessing(trained.preprocessing)
    outputs = logits(model, preprocessing.apply(patients))
    return {
        task.name: task.predict(outputs[task.name], preprocessing.cuts.get(task.name))
        for task in federation.tasks
    }
