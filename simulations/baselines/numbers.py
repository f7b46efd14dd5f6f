"""Ridge regression and random forest for a number, on pooled patients."""

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold

from simulations.baselines.tabular import Array, Tables

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
FOLDS = 5
TREES, SMALLEST_LEAF = 300, 5


def ridge(tables: Tables, numbers: Array, seed: int) -> Array:
    """Ridge regression (Hoerl & Kennard 1970), [P] predictions.

    The penalty of `PENALTIES` with the least squared error in up to five folds of the training patients is taken (the
    largest for a single patient).
    """
    model = Ridge(alpha=PENALTIES[-1])
    if len(numbers) >= 2:
        folds = KFold(min(FOLDS, len(numbers)), shuffle=True, random_state=seed)
        model = GridSearchCV(model, {"alpha": PENALTIES}, scoring="neg_mean_squared_error", cv=folds)
    return np.asarray(model.fit(tables.train, numbers).predict(tables.test), dtype=np.float64)


def number_forest(tables: Tables, numbers: Array, seed: int) -> Array:
    """Random forest (Breiman 2001), [P] predictions."""
    model = RandomForestRegressor(TREES, min_samples_leaf=SMALLEST_LEAF, n_jobs=-1, random_state=seed)
    model.fit(tables.train, numbers)
    model.set_params(n_jobs=1)
    return np.asarray(model.predict(tables.test), dtype=np.float64)
