"""Two models on the same labelled patients of a hospital, with a paired bootstrap."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch

from client.prediction.beside import ModelsBeside
from common.agreement.federation import Federation
from common.evaluation.bootstrap import percentile_interval, replicate
from common.evaluation.predictions import Prediction
from common.patients.batch import PatientBatch
from common.tasks.task import OutcomeForm, Task
from common.validation.estimate import IntervalEstimate
from common.validation.figures import FLOOR, REPLICATES

if TYPE_CHECKING:
    from collections.abc import Mapping


def beside(
    federation: Federation,
    alone: "Mapping[str, Prediction]",
    together: "Mapping[str, Prediction]",
    patients: PatientBatch,
    seed: int = 0,
) -> Iterator[ModelsBeside]:
    """Compare two models' predictions for labelled patients, task by task.

    Args:
        federation: names the tasks.
        alone, together: task -> predictions of the hospital's own and of the federated model.
        patients: for whom the predictions are.
        seed: of the draws.
    """
    for task in federation.tasks:
        yield _task(task, (alone[task.name], together[task.name]), patients, seed)


def _task(
    task: Task, models: tuple[Prediction, Prediction], patients: PatientBatch, seed: int
) -> ModelsBeside:
    labels, labelled = patients.labels[task.name], patients.labelled[task.name]
    rows = np.flatnonzero(labelled.any(1).numpy())
    metric = task.metrics[task.headline_metric].title
    events = _events(task, labels[rows], labelled[rows])
    fewest = len(rows) if events is None else events
    if events is not None and task.form is not OutcomeForm.TIME_TO_EVENT:
        fewest = min(events, len(rows) - events)
    if fewest < FLOOR:
        return ModelsBeside(task=task.name, metric=metric)
    truth, is_known = labels[rows].double().numpy(), labelled[rows].numpy()
    of_rows = [model.select(rows) for model in models]

    def metrics(drawn: "np.typing.NDArray[np.intp]") -> "np.typing.NDArray[np.float64]":
        return np.array(
            [task.headline(model.select(drawn), truth[drawn], is_known[drawn]) for model in of_rows]
        )

    whole = metrics(np.arange(len(rows), dtype=np.intp))
    draws = replicate(metrics, len(rows), seed, REPLICATES)
    return ModelsBeside(
        task=task.name,
        metric=metric,
        records=len(rows),
        events=events,
        alone=IntervalEstimate.of(float(whole[0]), *percentile_interval(draws[:, 0])),
        together=IntervalEstimate.of(float(whole[1]), *percentile_interval(draws[:, 1])),
        gain=IntervalEstimate.of(float(whole[1] - whole[0]), *percentile_interval(draws[:, 1] - draws[:, 0])),
    )


def _events(task: Task, labels: torch.Tensor, labelled: torch.Tensor) -> int | None:
    if task.form in (OutcomeForm.NUMBER, OutcomeForm.OTHER):
        return None
    return int((task.happened(labels) & labelled.any(1)).sum())
