"""Patients as one row of numbers each, for the classical baselines."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.patients.batch import PatientBatch

Array = NDArray[np.float64]


WIDE = 32


COMPONENTS = 64


PATIENTS_PER_COMPONENT = 10


_CONSTANT = 1e-9


@dataclass(frozen=True)
class Tables:
    """Training and test patients in the same columns.

    Attributes:
        train: [N, columns] float64, no column constant.
        test: [P, columns] float64.
    """

    train: Array
    test: Array


def design(train: PatientBatch, test: PatientBatch) -> Tables:
    """Standardised values of all modalities side by side, and a column of absence per modality.

    A value that is not observed is 0, the training mean. Columns constant over the training patients are dropped.
    """
    columns = [*(_values(train, test, name) for name in train.values), _absence(train, test)]
    return _varying(_beside(columns))


def reduced_design(train: PatientBatch, test: PatientBatch, seed: int) -> Tables:
    """`design` in which a modality of over 32 columns becomes principal components.

    There are at most 64 of them, and no more than one for ten patients.

    Components are those of the training patients who have the modality (0 for the others). Components keep
    their relative spread, and the first has spread 1, as a standardised column has: so a ridge penalty
    weighs modalities alike whatever their width (multiple factor analysis, Escofier & Pages 1994), and
    within a modality it shrinks minor components as ridge on the columns themselves would.
    """
    columns = []
    for name in train.values:
        block = _values(train, test, name)
        if block.train.shape[1] > WIDE:
            block = _components(block, train.present(name).numpy(), test.present(name).numpy(), seed)
        columns.append(block)
    return _varying(_beside([*columns, _absence(train, test)]))


def _components(
    block: Tables, train_has: NDArray[np.bool_], test_has: NDArray[np.bool_], seed: int
) -> Tables:
    from sklearn.decomposition import PCA

    having = block.train[train_has]
    count = min(COMPONENTS, len(having) // PATIENTS_PER_COMPONENT, having.shape[1])
    if count < 1:
        return Tables(np.zeros((len(block.train), 0)), np.zeros((len(block.test), 0)))
    pca: Any = PCA(count, svd_solver="randomized", random_state=seed).fit(having)
    spread = max(float(np.sqrt(pca.explained_variance_[0])), _CONSTANT)

    def scores(rows: Array, has: NDArray[np.bool_]) -> Array:
        projected: Array = pca.transform(rows) / spread * has[:, None]
        return projected

    return Tables(scores(block.train, train_has), scores(block.test, test_has))


def _values(train: PatientBatch, test: PatientBatch, name: str) -> Tables:
    return Tables(train.values[name].double().numpy(), test.values[name].double().numpy())


def _absence(train: PatientBatch, test: PatientBatch) -> Tables:
    sides = (
        np.stack([(~batch.present(name)).double().numpy() for name in batch.values], axis=1)
        for batch in (train, test)
    )
    return Tables(*sides)


def _beside(blocks: list[Tables]) -> Tables:
    return Tables(
        np.concatenate([block.train for block in blocks], axis=1),
        np.concatenate([block.test for block in blocks], axis=1),
    )


def _varying(tables: Tables) -> Tables:
    kept = np.flatnonzero(np.ptp(tables.train, axis=0) > _CONSTANT)
    return Tables(tables.train[:, kept], tables.test[:, kept])
