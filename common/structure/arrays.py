"""Arrays of the questions about structure, by name and shape, and those of a release."""

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST
from common.assessment.part import Asked, Sum
from common.structure.figures import LARGEST_SIZE, LEAST_SIZE, MOST_DISORDER
from common.structure.limits import FIGURE, Check
from common.structure.plan import DIRECTIONS, pairs, sized_modalities, uncentered_modalities, wide_modalities

Array = NDArray[np.float64]

PRODUCTS, FIGURES = 0, 1
"""Questions: sums of columns and pairs, and products with random signs; then figures of patients."""

QUESTIONS = 2

MOMENTS = 6
"""Sums of a pair of columns (`common.structure.figures.pair_sums`): their count, and five that are asked as means."""

_SQUARE = LARGEST**2

MOST_BEHIND = 1e9
"""Most patients of all hospitals."""


def center_name(modality: str) -> str:
    """Name of the mean of a modality's columns."""
    return f"center:{modality}"


def products_name(modality: str) -> str:
    """Name of the products of a modality, or of their mean over patients."""
    return f"products:{modality}"


def behind_name(modality: str) -> str:
    """Name of the number of patients behind products, or behind every column of a pair."""
    return f"behind:{modality}"


def columns_name(modality: str) -> str:
    """Name of the counts and sums of a modality's columns."""
    return f"columns:{modality}"


def pair_name(pair: str) -> str:
    """Name of the sums of a pair, or of their mean over patients."""
    return f"pair:{pair}"


def figure_name(check: Check, modalities: tuple[str, ...]) -> str:
    """Name of the sums of a figure."""
    return ":".join(["figure", check, *modalities])


def echo_name(name: str) -> str:
    """Name of what a hospital was asked with, times its patients."""
    return f"asked:{name}"


def product_limit(columns: int) -> float:
    """Most that a patient adds to a product: a centred value is at most twice the largest."""
    return 4 * _SQUARE * columns


def asked_shapes(agreement: Federation, number: int) -> dict[str, tuple[int, ...]]:
    """Arrays that a question brings."""
    if number == PRODUCTS:
        return {}
    shapes: dict[str, tuple[int, ...]] = {
        center_name(part.name): (len(part.columns),) for part in uncentered_modalities(agreement)
    }
    for part in wide_modalities(agreement):
        shapes[products_name(part.name)] = (len(part.columns), DIRECTIONS)
        shapes[behind_name(part.name)] = (1,)
    for pair in pairs(agreement):
        shapes[pair_name(pair.name)] = (MOMENTS - 1, len(pair.left))
        shapes[behind_name(pair.name)] = (len(pair.left),)
    return shapes


def asked_arrays(agreement: Federation, number: int) -> dict[str, Asked]:
    """Arrays that a question brings, with their limits."""
    return {
        name: Asked(shape, -_echo_limit(agreement, name), _echo_limit(agreement, name))
        if is_echoed(name)
        else Asked(shape, 0.0, MOST_BEHIND)
        for name, shape in asked_shapes(agreement, number).items()
    }


def answered_sums(agreement: Federation, number: int) -> dict[str, Sum]:
    """Sums that answer a question."""
    if number == PRODUCTS:
        return _first_sums(agreement)
    return _figure_sums(agreement) | {
        echo_name(name): Sum(shape, -_echo_limit(agreement, name), _echo_limit(agreement, name))
        for name, shape in asked_shapes(agreement, number).items()
        if is_echoed(name)
    }


def _first_sums(agreement: Federation) -> dict[str, Sum]:
    sums = {
        columns_name(part.name): Sum((2, len(part.columns)), -LARGEST, LARGEST)
        for part in uncentered_modalities(agreement)
    }
    for part in wide_modalities(agreement):
        limit = product_limit(len(part.columns))
        sums[products_name(part.name)] = Sum((len(part.columns), DIRECTIONS), -limit, limit)
        sums[behind_name(part.name)] = Sum((1,))
    for pair in pairs(agreement):
        sums[pair_name(pair.name)] = Sum((MOMENTS, len(pair.left)), -_SQUARE, _SQUARE)
    return sums


def is_echoed(name: str) -> bool:
    """Whether an asked array comes back, because the release is made of the last answers alone."""
    return not name.startswith("behind:")


def _echo_limit(agreement: Federation, name: str) -> float:
    kind, _, modality = name.partition(":")
    if kind == "center":
        return LARGEST
    return product_limit(len(agreement.modality(modality).columns)) if kind == "products" else _SQUARE


def _figure_sums(agreement: Federation) -> dict[str, Sum]:
    sums: dict[str, Sum] = {}
    for part in wide_modalities(agreement):
        sums[figure_name(Check.STRUCTURE, (part.name,))] = Sum((FIGURE,), 0.0, MOST_DISORDER**2)
    for part in sized_modalities(agreement):
        sums[figure_name(Check.SIZE, (part.name,))] = Sum(
            (FIGURE,), LEAST_SIZE, max(LEAST_SIZE**2, LARGEST_SIZE**2)
        )
    for part in agreement.modalities:
        sums[figure_name(Check.OBSERVED, (part.name,))] = Sum((FIGURE,))
    for pair in pairs(agreement):
        sums[figure_name(Check.AGREEMENT, (pair.first, pair.second))] = Sum((FIGURE,))
    return sums
