"""Classical models on the pooled patients, with the inputs of the networks.

A federation cannot pool; a federated model with scores near these models has lost little by leaving the data at home.
A baseline makes every choice (penalty, stopping) inside its training patients. All but the forests see wide modalities
through their principal components, on which they do better.
"""

from importlib.util import find_spec

import numpy as np
from torch import Tensor

from common.agreement.tasks import SurvivalTask, Task
from common.errors import InputError
from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction
from common.evaluation.survival import survival_labels
from common.patients.batch import PatientBatch
from simulations.baselines.classes import forest, logistic
from simulations.baselines.perceptron import perceptron
from simulations.baselines.survival import cox, survival_forest
from simulations.baselines.tabular import Tables, design, reduced_design
from simulations.results.schema import Arm

ARMS: tuple[Arm, ...] = ("cox", "logistic", "forest", "mlp")


def applicable(task: Task) -> tuple[Arm, ...]:
    """List the arms that fit a task.

    A survival forest needs scikit-survival, the extra `baselines`.
    """
    if task.kind != "survival":
        return ("logistic", "forest", "mlp")
    return ("cox", "forest", "mlp") if find_spec("sksurv") else ("cox", "mlp")


def fit_predict(
    arm: Arm, task: Task, train: PatientBatch, test: PatientBatch, cuts: Tensor | None, seed: int
) -> Prediction:
    """Fit a baseline on the task's labelled training patients, and predict every test patient.

    Args:
        arm: one of `applicable(task)`.
        task: the task.
        train: standardised patients of all hospitals together.
        test: standardised by the same figures.
        cuts: [K] ends of the hazard intervals in the task's unit; needed by `mlp` on survival.
        seed: the same seed gives the same prediction.

    Raises:
        InputError: if the arm is not for the task, or the training patients lack the outcome.
    """
    if arm not in applicable(task):
        raise InputError(
            f"baseline {arm}", f"is not for task {task.name}", f"use {', '.join(applicable(task))}"
        )
    labelled_cells = train.labelled[task.name]
    train = train.select(labelled_cells.all(dim=1) if task.kind == "survival" else labelled_cells.any(dim=1))
    labels, labelled = train.labels[task.name], train.labelled[task.name]
    if not labelled.any(dim=0).all() or (task.kind == "survival" and not labels[:, 1].any()):
        raise InputError(f"task {task.name}", "no training patient has an outcome", "leave its baselines out")
    tables = design(train, test) if arm == "forest" else reduced_design(train, test, seed)
    if arm == "mlp":
        return perceptron(task, tables, labels, labelled, {} if cuts is None else {task.name: cuts}, seed)
    if isinstance(task, SurvivalTask):
        survival = cox if arm == "cox" else survival_forest
        return survival(tables, *survival_labels(labels, labelled), seed)
    classify = logistic if arm == "logistic" else forest
    truth, cells = labels.numpy().astype(np.intp), labelled.numpy()
    if task.kind == "response":
        return ClassPrediction(classify(tables, truth[:, 0], task.outputs, seed))
    columns = []
    for label, rows in enumerate(cells.T):
        labelled_rows = Tables(tables.train[rows], tables.test)
        columns.append(classify(labelled_rows, truth[rows, label], 2, seed)[:, 1])
    return LabelPrediction(np.stack(columns, axis=1))
