"""From the network's logits to predictions in the field's terms."""

import numpy as np
from torch import Tensor

from common.agreement.tasks import ResponseTask, SurvivalTask, Task
from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.tasks.survival import survival_curve


def prediction(task: Task, logits: Tensor, cuts: dict[str, Tensor]) -> Prediction:
    """Predictions for P patients from logits [P, outputs].

    Survival risk is minus the mean survival over the hazard intervals: the expected number of intervals lived
    through, turned round.
    """
    if isinstance(task, SurvivalTask):
        survival = survival_curve(logits).double().numpy()
        return SurvivalPrediction(-survival.mean(1), cuts[task.name].double().numpy(), survival)
    if isinstance(task, ResponseTask):
        return ClassPrediction(logits.softmax(1).double().numpy())
    return LabelPrediction(np.asarray(logits.sigmoid().double()))
