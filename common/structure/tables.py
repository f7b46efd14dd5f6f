"""Tables of standardised patients as arrays, and their disorder."""

import numpy as np
from numpy.typing import NDArray

from common.agreement.modalities import Modality
from common.patients.batch import PatientBatch
from common.structure import figures
from common.structure.plan import LEAST_OBSERVED, SharedColumns, is_centered

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def table(standardised: PatientBatch, modality: Modality) -> tuple[Array, Mask]:
    """Values and mask [P, columns] of the patients who have enough of a modality."""
    values, observed = whole_table(standardised, modality.name)
    number = len(modality.columns)
    values, observed = values[:, :number], observed[:, :number]
    seen = has_enough(observed)
    return values[seen], observed[seen]


def whole_table(standardised: PatientBatch, modality: str) -> tuple[Array, Mask]:
    """Values and mask [P, nodes] of all patients."""
    values = standardised.values[modality].double().numpy()
    return values, standardised.observed[modality].numpy()


def has_enough(observed: Mask) -> Mask:
    """Mask [P] of the patients who have a value in enough columns."""
    return np.asarray(observed.mean(1) >= LEAST_OBSERVED, dtype=np.bool_)


def both_tables(standardised: PatientBatch, pair: SharedColumns) -> tuple[Array, Array, Mask]:
    """Values x and y [P, G] and mask of both, of the patients who have enough of a pair."""
    left, right, both = both_columns(standardised, pair)
    seen = has_enough(both)
    return left[seen], right[seen], both[seen]


def both_columns(standardised: PatientBatch, pair: SharedColumns) -> tuple[Array, Array, Mask]:
    """The same of all patients."""
    left, seen_left = whole_table(standardised, pair.first)
    right, seen_right = whole_table(standardised, pair.second)
    first, second = list(pair.left), list(pair.right)
    return left[:, first], right[:, second], seen_left[:, first] & seen_right[:, second]


def judged_disorder(
    modality: Modality,
    values: Array,
    observed: Mask,
    center: Array,
    directions: Array,
    share: Array | None = None,
) -> Array:
    """Disorder [P] of patients.

    Args:
        modality: whose table it is.
        values: [P, columns].
        observed: [P, columns].
        center: [columns], mean of the columns.
        directions: [columns, D].
        share: of their squares outside, for patients who are in the directions themselves.
    """
    centred = (values - center) * observed
    inner = figures.outside(centred, directions) if share is None else share
    expected = figures.expected_outside(centred, center, directions)
    size = figures.mean_square(values, observed) if is_centered(modality) else None
    return figures.disorder(inner, expected, size)


def observed_shares(standardised: PatientBatch, modality: Modality) -> Array:
    """Share [P] of a modality's columns with a value; NaN where it is absent.

    A column of categories counts once.
    """
    observed = standardised.observed[modality.name].numpy()
    number = len(modality.columns)
    columns = [observed[:, :number]]
    for levels in modality.categories.values():
        columns.append(observed[:, number : number + 1])
        number += len(levels)
    shares = np.concatenate(columns, 1).mean(1)
    return np.where(shares > 0, shares, np.nan)
