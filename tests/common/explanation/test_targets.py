"""Explained numbers are those of the predictions, on another scale."""

import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.evaluation.predictions import SurvivalPrediction
from common.explanation.targets import targets
from common.patients.preprocessing import Preprocessing
from common.tasks.regression import RegressionTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import OutcomeForm

LOGITS = {
    "survival": torch.tensor([[-2.0, -1.0, -3.0, 0.5]]),
    "response": torch.tensor([[0.1, -0.4, 0.9]]),
    "toxicity": torch.tensor([[1.5, -0.3]]),
}
TIMES = (0.3, 1.0, 3.0, 8.0)
HORIZONS: dict[str, tuple[float, ...]] = {"survival": TIMES, "response": (), "toxicity": ()}


def test_targets_are_the_probabilities_of_the_prediction(
    federation: Federation, preprocessing: Preprocessing
) -> None:
    *risks, response, toxicity = targets(federation, preprocessing, HORIZONS, LOGITS)
    curve = federation.tasks[0].predict(LOGITS["survival"], preprocessing.cuts["survival"])
    assert isinstance(curve, SurvivalPrediction)
    assert [risk.horizon for risk in risks] == list(TIMES)
    explained = [float(risk.of(LOGITS["survival"])) for risk in risks]
    assert explained == pytest.approx(np.log(-np.log(curve.at(TIMES)[0])).tolist(), abs=1e-5)
    share = LOGITS["response"].softmax(1)[0, 2]
    assert response.outcome == "yes"
    assert float(response.of(LOGITS["response"])) == pytest.approx(float(torch.logit(share)), abs=1e-5)
    assert (toxicity.outcome, toxicity.scale) == ("rash", "log-odds")
    assert float(toxicity.of(LOGITS["toxicity"])) == 1.5


def test_a_number_is_explained_in_its_unit(federation: Federation, preprocessing: Preprocessing) -> None:
    task = RegressionTask(name="score", target="score", low=0, high=50, unit="points")
    changed = federation.model_copy(update={"tasks": (task,)})
    cuts = {"score": torch.tensor([20.0, 4.0])}
    prepared = Preprocessing(preprocessing.center, preprocessing.spread, cuts)
    (target,) = targets(changed, prepared, {"score": ()}, {"score": torch.tensor([[0.5]])})
    assert float(target.of(torch.tensor([[0.5]]))) == 2.0
    assert (target.scale, target.spread) == ("points", 4.0)


def test_a_certain_event_and_one_that_nobody_has_stay_finite(
    federation: Federation, preprocessing: Preprocessing
) -> None:
    for size in (-40.0, 40.0):
        logits = torch.full((1, 4), size, requires_grad=True)
        for risk in targets(federation, preprocessing, HORIZONS, LOGITS)[: len(TIMES)]:
            number = risk.of(logits)
            assert bool(number.isfinite())
            assert bool(torch.autograd.grad(number, logits)[0].isfinite().all())


def test_a_task_of_another_form_is_refused(
    federation: Federation, preprocessing: Preprocessing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SurvivalTask, "form", OutcomeForm.OTHER)
    with pytest.raises(InvalidContentError):
        targets(federation, preprocessing, HORIZONS, LOGITS)
