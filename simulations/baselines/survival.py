"""Cox regression and random survival forest on pooled patients."""

import warnings
from typing import Any

import numpy as np
import pandas as pd

from common.evaluation.predictions import Array, Mask, SurvivalPrediction
from simulations.baselines.tabular import Tables

PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


FOLDS = 3


TREES, SMALLEST_LEAF = 100, 15


TIMES = 100


def cox(tables: Tables, time: Array, event: Mask, seed: int) -> SurvivalPrediction:
    """Ridge-penalised Cox regression (lifelines), survival from Breslow's baseline hazard.

    The penalty of `PENALTIES` with the best held-out partial likelihood in three folds of the training patients is
    taken (the largest penalty if there are fewer than six events).
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    penalty = PENALTIES[-1]
    if event.sum() >= 2 * FOLDS:
        kind = StratifiedKFold if (~event).sum() >= FOLDS else KFold
        folds = list(kind(FOLDS, shuffle=True, random_state=seed).split(tables.train, event))
        fit = [
            sum(_held_out(tables.train, time, event, fitted, judged, penalised) for fitted, judged in folds)
            for penalised in PENALTIES
        ]
        penalty = PENALTIES[int(np.nanargmax(fit))]
    model, columns = _fit_cox(tables.train, time, event, penalty)
    test = pd.DataFrame(tables.test[:, columns])
    times = _times(time, event)
    survival = model.predict_survival_function(test, times=times).to_numpy().T
    return SurvivalPrediction(model.predict_log_partial_hazard(test).to_numpy(), times, survival)


def survival_forest(tables: Tables, time: Array, event: Mask, seed: int) -> SurvivalPrediction:
    """Random survival forest (Ishwaran et al. 2008) by scikit-survival.

    The risk is the ensemble's mortality.

    Times are rounded up to 100 quantiles of event times: trees and curves grow with the number of times.
    """
    from sksurv.ensemble import RandomSurvivalForest
    from sksurv.util import Surv

    times = _times(time, event)
    time_index = np.minimum(np.searchsorted(times, time), len(times) - 1)
    model = RandomSurvivalForest(
        TREES, min_samples_leaf=SMALLEST_LEAF, max_features="sqrt", n_jobs=-1, random_state=seed
    ).fit(tables.train, Surv.from_arrays(event, np.maximum(times[time_index], 0)))
    model.set_params(n_jobs=1)
    survival = model.predict_survival_function(tables.test, return_array=True)
    columns = np.searchsorted(model.unique_times_, times, side="right") - 1
    return SurvivalPrediction(model.predict(tables.test), times, survival[:, columns])


def _times(time: Array, event: Mask) -> Array:
    """Quantiles of the event times: at most 100 positive times, the last event among them."""
    return np.unique(np.quantile(time[event], np.arange(1, TIMES + 1) / TIMES, method="higher"))


def _held_out(train: Array, time: Array, event: Mask, fitted: Any, judged: Any, penalty: float) -> float:
    model, columns = _fit_cox(train[fitted], time[fitted], event[fitted], penalty)
    return float(
        model.score(
            _frame(train[judged][:, columns], time[judged], event[judged]), scoring_method="log_likelihood"
        )
    )


def _fit_cox(train: Array, time: Array, event: Mask, penalty: float) -> tuple[Any, Any]:
    """Fit the model to the columns that vary over these patients, and return both.

    lifelines penalises coefficients of columns scaled to spread 1; dividing by the variance penalises those
    of the columns as they are, so that minor components stay minor.
    """
    from lifelines import CoxPHFitter

    spread = train.std(axis=0)
    columns = np.flatnonzero(spread > 1e-6)
    model = CoxPHFitter(penalizer=penalty / spread[columns] ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(_frame(train[:, columns], time, event), duration_col="time", event_col="event")
    return model, columns


def _frame(columns: Array, time: Array, event: Mask) -> pd.DataFrame:
    return pd.DataFrame(columns).assign(time=time, event=event)
