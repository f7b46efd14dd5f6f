"""Logistic regression and random forest for a class of several, on pooled patients."""

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

from simulations.baselines.tabular import Array, Tables

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)


FOLDS = 5


TREES, SMALLEST_LEAF = 300, 5


Classes = NDArray[np.intp]


def logistic(tables: Tables, labels: Classes, classes: int, seed: int) -> Array:
    """Ridge-penalised logistic regression, [P, classes] probabilities.

    The inverse penalty of `STRENGTHS` with the best log-likelihood in up to five folds of the training patients is
    taken (the smallest if a class has a single patient).
    """
    present, counts = np.unique(labels, return_counts=True)
    if len(present) == 1:
        return _spread_out(np.ones((len(tables.test), 1)), present, classes)
    model = LogisticRegression(C=STRENGTHS[0], max_iter=2000)
    if counts.min() >= 2:
        folds = StratifiedKFold(min(FOLDS, int(counts.min())), shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"C": STRENGTHS}, scoring="neg_log_loss", cv=folds)
    model.fit(tables.train, labels)
    return _spread_out(model.predict_proba(tables.test), present, classes)


def forest(tables: Tables, labels: Classes, classes: int, seed: int) -> Array:
    """Random forest (Breiman 2001), [P, classes] probabilities."""
    model = RandomForestClassifier(TREES, min_samples_leaf=SMALLEST_LEAF, n_jobs=-1, random_state=seed)
    model.fit(tables.train, labels)
    model.set_params(n_jobs=1)
    return _spread_out(model.predict_proba(tables.test), np.unique(labels), classes)


def _spread_out(probability: Array, present: Classes, classes: int) -> Array:
    """Insert probability 0 for classes that no training patient has."""
    every = np.zeros((len(probability), classes))
    every[:, present] = probability
    return every
