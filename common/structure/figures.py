"""Figures of patients by which wrong tables are told from ordinary ones.

Disorder: share of a patient's squared values that lies outside the principal directions of the training patients,
divided by the share that is expected outside when the same values are in a random order, times a power of their size.
It is near 1 for columns in another order, and less for ordinary ones. The directions are those of a randomised range
finder (Halko et al. 2011) with one product, X'(X signs), which adds up over hospitals.

Disagreement: (1 - c) / 2 of the correlation c between a patient's values of the same columns in two modalities, where a
column counts by its correlation over training patients. Turned signs are near 1, another patient's table near 1/2.

Training patients are judged without their part in the sums (exact leave-one-out), because their figures would otherwise
be better than those of anybody else.
"""

import numpy as np
from numpy.typing import NDArray

from common.structure.plan import FEWEST_GENES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FARTHEST = 4.0
"""Standard deviations at which a value in a correlation is cut off."""


STRONGEST = 0.95
"""Largest correlation of a column between two modalities that is believed."""


SMALLEST = 1e-9


LEAST_SIZE, LARGEST_SIZE = -10.0, 5.0
"""Limits of the logarithm of a mean square; standardised values are at most 8."""


LEAST_EXPECTED = 0.1
"""Share of squares that a random order must leave outside: below it, as in unchanged copy numbers, no order is seen."""


MOST_DISORDER = 2.0


SIZE_POWER = 0.1
"""Power of the size in a disorder.

On `tcga-brca`, at .4% false warnings, it finds 99% of the proteins whose raw columns are in another order; 0 finds 75%.
"""


LEAST_ENERGY = 0.25
"""Mean square, where 1 is ordinary, that a patient must have in both modalities: in less there is only noise."""


def signs(columns: int, directions: int, seed: int, modality: int) -> Array:
    """Draw the random signs [columns, directions] from which the directions of a modality begin."""
    draw = np.random.default_rng([seed, modality, columns])
    return draw.integers(0, 2, (columns, directions)).astype(np.float64) * 2 - 1


def basis(products: Array) -> Array:
    """Make an orthonormal basis [columns, D] of a sum of products, without empty directions."""
    left, sizes, _ = np.linalg.svd(products, full_matrices=False)
    return np.ascontiguousarray(left[:, sizes > sizes[:1] * SMALLEST], dtype=np.float64)


def outside(values: Array, directions: Array) -> Array:
    """Share [P] of patients' squares outside of directions; NaN where all values are 0.

    Args:
        values: [P, columns], centred, 0 where not observed.
        directions: [columns, D].
    """
    return _share(np.square(values @ directions).sum(1), values)


def outside_without(values: Array, products: Array, used: Array, start: Array) -> Array:
    """Share [P] of squares outside of the span of products that a patient has no part in.

    With S the sum, u a patient's values that are in it and w = start' u, the sum without the patient is S - u w'.

    Args:
        values: x [P, columns], centred, 0 where not observed.
        products: S [columns, D], the sum over all hospitals.
        used: u [P, columns], what of a patient is in the sum.
        start: [columns, D] signs.
    """
    weights = used @ start
    along = values @ products - weights * (used * values).sum(1, keepdims=True)
    summed = used @ products
    squares = np.square(used).sum(1)[:, None, None]
    cross = summed[:, :, None] * weights[:, None, :]
    inner = products.T @ products - cross - cross.swapaxes(1, 2)
    inner += squares * weights[:, :, None] * weights[:, None, :]
    inverse = np.linalg.pinv(inner, rcond=SMALLEST, hermitian=True)
    return _share(np.einsum("pi,pij,pj->p", along, inverse, along), values)


def _share(inside: Array, values: Array) -> Array:
    whole = np.square(values).sum(1)
    defined = whole > SMALLEST
    share = 1 - inside / np.where(defined, whole, 1.0)
    return np.where(defined, share.clip(0.0, 1.0), np.nan)


def expected_outside(values: Array, center: Array, directions: Array) -> Array:
    """Expected squares outside by expected squares [P], over all orders of a patient's values.

    A random order of N values has the mean m 1 and the covariance v N / (N - 1) (I - 1 1' / N), where m and v are mean
    and variance of the values.

    Args:
        values: [P, N], centred, 0 where not observed.
        center: c [N].
        directions: [N, D], orthonormal.
    """
    plain, (number, size) = values + center, directions.shape
    mean, variance = plain.mean(1), plain.var(1)
    ones, along = directions.sum(0), center @ directions
    whole = number * (variance + mean**2) + center @ center - 2 * mean * center.sum()
    spread = variance * number / max(number - 1, 1) * (size - ones @ ones / number)
    inside = spread + np.square(mean[:, None] * ones - along).sum(1)
    defined = whole > SMALLEST
    return np.where(defined, 1 - inside / np.where(defined, whole, 1.0), 0.0)


def disorder(share: Array, expected: Array, size: Array | None = None) -> Array:
    """Divide shares [P] outside by the expected ones; NaN where order cannot be seen.

    Args:
        share: found outside.
        expected: outside in a random order.
        size: mean squares, where they are near 1 in ordinary patients: columns that change places also change scale.
    """
    defined = expected >= LEAST_EXPECTED
    ratio = share / np.where(defined, expected, 1.0)
    if size is not None:
        ratio = ratio * size**SIZE_POWER
    return np.where(defined, ratio.clip(0.0, MOST_DISORDER), np.nan)


def pair_sums(left: Array, right: Array, both: Mask) -> Array:
    """Sum [6, G] of 1, x, y, x^2, y^2 and xy over the patients who have both values of a column.

    Args:
        left: x [P, G].
        right: y [P, G].
        both: [P, G].
    """
    return np.asarray(pair_terms(left, right, both).sum(1), dtype=np.float64)


def pair_terms(left: Array, right: Array, both: Mask) -> Array:
    """Terms [6, P, G] of the sums, each patient's own."""
    x, y, seen = left * both, right * both, both.astype(np.float64)
    return np.stack([seen, x, y, x * x, y * y, x * y])


def disagreement(left: Array, right: Array, both: Mask, sums: Array) -> Array:
    """Disagreement [P] of values in two modalities; NaN where too few columns have both.

    Args:
        left: [P, G].
        right: [P, G].
        both: [P, G].
        sums: [6, G], or [6, P, G] for sums without each patient's own terms.
    """
    count, x_sum, y_sum, x_squares, y_squares, product = sums
    number = np.maximum(count, 1.0)
    x_mean, y_mean = x_sum / number, y_sum / number
    x_spread = np.sqrt(np.maximum(x_squares / number - x_mean**2, 0.0))
    y_spread = np.sqrt(np.maximum(y_squares / number - y_mean**2, 0.0))
    defined = (count > 1) & (x_spread > 1e-6) & (y_spread > 1e-6)
    x_spread, y_spread = np.where(defined, x_spread, 1.0), np.where(defined, y_spread, 1.0)
    covariance = product / number - x_mean * y_mean
    weight = np.where(defined, covariance / (x_spread * y_spread), 0.0).clip(-STRONGEST, STRONGEST)
    seen = both & defined
    x = np.where(seen, (left - x_mean) / x_spread, 0.0).clip(-FARTHEST, FARTHEST)
    y = np.where(seen, (right - y_mean) / y_spread, 0.0).clip(-FARTHEST, FARTHEST)
    strength = abs(weight)
    x_energy, y_energy = (strength * x * x).sum(-1), (strength * y * y).sum(-1)
    least = LEAST_ENERGY * (strength * seen).sum(-1)
    enough = (seen.sum(-1) >= FEWEST_GENES) & (least > SMALLEST) & (x_energy >= least) & (y_energy >= least)
    correlation = (weight * x * y).sum(-1) / np.where(enough, np.sqrt(x_energy * y_energy), 1.0)
    return np.where(enough, (1 - correlation.clip(-1.0, 1.0)) / 2, np.nan)


def mean_square(values: Array, observed: Mask) -> Array:
    """Mean square [P] of the observed values; 0 where there is none."""
    return np.asarray(
        (np.square(values) * observed).sum(1) / np.maximum(observed.sum(1), 1), dtype=np.float64
    )


def log_size(values: Array, observed: Mask) -> Array:
    """Logarithm [P] of the mean square of the observed values; NaN where there is none."""
    mean = np.maximum(mean_square(values, observed), np.exp(LEAST_SIZE))
    return np.where(observed.any(1), np.log(mean).clip(LEAST_SIZE, LARGEST_SIZE), np.nan)
