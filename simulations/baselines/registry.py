"""Classical models on the pooled patients, with the inputs of the networks.

A federation cannot pool; a federated model with scores near these models has lost little by leaving the data at home.
A baseline makes every choice (penalty, stopping) inside its training patients. All but the forests see wide modalities
through their principal components, on which they do better.
"""

from importlib.util import find_spec
from typing import assert_never

import numpy as np
from torch import Tensor

from common.errors import InvalidContentError, OptionError
from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction, Prediction
from common.evaluation.survival import survival_labels
from common.patients.batch import PatientBatch
from common.tasks.task import OutcomeForm, Task
from simulations.baselines.classes import forest, logistic
from simulations.baselines.numbers import number_forest, ridge
from simulations.baselines.perceptron import perceptron
from simulations.baselines.survival import cox, survival_forest
from simulations.baselines.tabular import Tables, design, reduced_design
from simulations.results.schema import Arm

ARMS: tuple[Arm, ...] = ("cox", "logistic", "ridge", "forest", "mlp")


def applicable(task: Task) -> tuple[Arm, ...]:
    """List the arms that fit a task.

    A survival forest needs scikit-survival, the extra `baselines`.
    """
    match task.form:
        case OutcomeForm.TIME_TO_EVENT:
            return ("cox", "forest", "mlp") if find_spec("sksurv") else ("cox", "mlp")
        case OutcomeForm.CLASSES | OutcomeForm.LABELS:
            return ("logistic", "forest", "mlp")
        case OutcomeForm.NUMBER:
            return ("ridge", "forest", "mlp")
        case OutcomeForm.OTHER:
            return ("mlp",)
        case _:
            assert_never(task.form)


def linear(task: Task) -> Arm | None:
    """Return the penalised linear model of a task, None if none fits."""
    return next((arm for arm in applicable(task) if arm in ("cox", "logistic", "ridge")), None)


def fit_predict(
    arm: Arm, task: Task, train: PatientBatch, test: PatientBatch, prepared: Tensor | None, seed: int
) -> Prediction:
    """Fit a baseline on the task's labelled training patients, and predict every test patient.

    Args:
        arm: one of `applicable(task)`.
        task: the task.
        train: standardised patients of all hospitals together.
        test: standardised by the same figures.
        prepared: for the task's loss, such as the ends of hazard intervals; needed by `mlp`.
        seed: the same seed gives the same prediction.

    Raises:
        InputError: if the arm is not for the task, or the training patients lack the outcome.
    """
    if arm not in applicable(task):
        raise OptionError(
            f"baseline {arm}", f"is not for task {task.name}", f"use {', '.join(applicable(task))}"
        )
    labels_given = train.labelled[task.name]
    timed = task.form is OutcomeForm.TIME_TO_EVENT
    train = train.select(labels_given.all(dim=1) if timed else labels_given.any(dim=1))
    labels, labelled = train.labels[task.name], train.labelled[task.name]
    if not labelled.any(dim=0).all() or (timed and not labels[:, 1].any()):
        raise InvalidContentError(
            f"task {task.name}", "no training patient has an outcome", "leave its baselines out"
        )
    tables = design(train, test) if arm == "forest" else reduced_design(train, test, seed)
    if arm == "mlp":
        return perceptron(task, tables, labels, labelled, prepared, seed)
    if timed:
        survival = cox if arm == "cox" else survival_forest
        return survival(tables, *survival_labels(labels, labelled), seed)
    if task.form is OutcomeForm.NUMBER:
        fit = ridge if arm == "ridge" else number_forest
        return NumberPrediction(fit(tables, labels[:, 0].double().numpy(), seed))
    classify = logistic if arm == "logistic" else forest
    truth, cells = labels.numpy().astype(np.intp), labelled.numpy()
    if task.form is OutcomeForm.CLASSES:
        return ClassPrediction(classify(tables, truth[:, 0], task.outputs, seed))
    columns = []
    for label, rows in enumerate(cells.T):
        labelled_rows = Tables(tables.train[rows], tables.test)
        columns.append(classify(labelled_rows, truth[rows, label], 2, seed)[:, 1])
    return LabelPrediction(np.stack(columns, axis=1))
