"""Sums of a hospital about the structure of its training patients' tables.

What is about fewer patients than the minimum count is 0. A column tells nothing where too few patients lie outside its
commonest value (`common.patients.preprocessing.cells`), as a product of a rare column would be those patients' terms.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.assessment.floors import are_few
from common.assessment.part import Arrays
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, cells
from common.structure import figures
from common.structure.arrays import (
    PRODUCTS,
    answered_sums,
    asked_shapes,
    behind_name,
    center_name,
    columns_name,
    echo_name,
    figure_name,
    is_echoed,
    pair_name,
    products_name,
)
from common.structure.limits import FIGURE, Check
from common.structure.near_copies import codes_of, without_near_copies
from common.structure.plan import (
    DIRECTIONS,
    FEWEST_PATIENTS,
    SharedColumns,
    is_centered,
    pairs,
    wide_modalities,
)
from common.structure.tables import (
    both_tables,
    has_enough,
    judged_disorder,
    observed_shares,
    table,
    whole_table,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

GRID = 6
"""Digits in which figures are compared: arrays of a question could set equal ones apart by a little."""

MOST_OF_FEW = 0.95
"""Most of a figure's squared distances from its median that fewer patients than the minimum count may make."""


def computed(
    agreement: Federation,
    patients: PatientBatch,
    prepared: Preprocessing,
    least: int,
    asked: Arrays,
    number: int,
) -> dict[str, Array]:
    """Compute the sums of a question.

    Args:
        agreement: the federation file.
        patients: as the tables have them.
        prepared: the preprocessing.
        least: the minimum count.
        asked: arrays of the question.
        number: of the question.
    """
    standardised = prepared.apply(patients)
    sums = {name: np.zeros(limits.shape) for name, limits in answered_sums(agreement, number).items()}
    if number == PRODUCTS:
        for modality in wide_modalities(agreement):
            used = _used(modality, patients, prepared, least)
            sums |= _product_sums(agreement, modality, standardised, used, least)
        for pair in pairs(agreement):
            left, right, both = both_tables(standardised, pair)
            mask = _pair_columns(left, right, both, least)
            sums[pair_name(pair.name)] = figures.pair_sums(left, right, both & mask)
        return sums
    for modality in wide_modalities(agreement):
        reordered = prepared.apply(_reordered(patients, modality, agreement.training.seed))
        used = _used(modality, patients, prepared, least)
        sums |= _structure_sums(agreement, modality, standardised, reordered, used, least, asked)
    for pair in pairs(agreement):
        name = figure_name(Check.AGREEMENT, (pair.first, pair.second))
        sums[name] = _agreement_sums(pair, standardised, least, asked)
    for modality in agreement.modalities:
        shares = observed_shares(standardised, modality)
        sums[figure_name(Check.OBSERVED, (modality.name,))] = _moments(shares, None, least)
    for name in filter(is_echoed, asked_shapes(agreement, number)):
        sums[echo_name(name)] = len(standardised) * asked[name]
    return sums


def _product_sums(
    agreement: Federation, modality: Modality, standardised: PatientBatch, used: Array | None, least: int
) -> dict[str, Array]:
    """Sum columns, and products X'(X signs) of values that are centred at the hospital."""
    values, observed = table(standardised, modality)
    sums: dict[str, Array] = {}
    usable = _usable(values, observed, least)
    if not is_centered(modality):
        figure = np.stack([observed.sum(0), values.sum(0)]).astype(np.float64)
        sums[columns_name(modality.name)] = figure * usable
    products = np.zeros((values.shape[1], DIRECTIONS))
    if used is not None:
        products = used.T @ (used @ start_signs(agreement, modality))
        sums[behind_name(modality.name)] = np.array([float(len(used))])
    return {**sums, products_name(modality.name): products}


def _reordered(patients: PatientBatch, modality: Modality, seed: int) -> PatientBatch:
    """Patients whose columns of a modality are in another order."""
    number, name = len(modality.columns), modality.name
    order = np.random.default_rng([seed, number]).permutation(number)
    order = np.concatenate([order, np.arange(number, len(modality.nodes))])
    return replace(
        patients,
        values={**patients.values, name: patients.values[name][:, order]},
        observed={**patients.observed, name: patients.observed[name][:, order]},
    )


def start_signs(agreement: Federation, modality: Modality) -> Array:
    """Draw the random signs of a modality by the seed of the federation file."""
    number = agreement.modalities.index(modality)
    return figures.signs(len(modality.columns), DIRECTIONS, agreement.training.seed, number)


def _usable(values: Array, observed: Mask, least: int) -> Mask:
    """Mask [columns] of those that enough patients make."""
    import torch

    counted = cells(torch.from_numpy(values), torch.from_numpy(observed), least)
    return np.asarray(counted >= least, dtype=np.bool_)


def _used(modality: Modality, patients: PatientBatch, prepared: Preprocessing, least: int) -> Array | None:
    """Values of which products are made; None where patients are too few."""
    name, number = modality.name, len(modality.columns)
    seen = has_enough(prepared.apply(patients).observed[name].numpy()[:, :number])
    if seen.sum() < max(least, FEWEST_PATIENTS):
        return None
    raw, there = patients.values[name].clone(), patients.observed[name].clone()
    plain, mask = raw[seen, :number].double().numpy(), there[seen, :number].numpy()
    plain, mask = without_near_copies(plain, mask, least)
    raw[seen, :number], there[seen, :number] = raw.new_tensor(plain), there.new_tensor(mask)
    alike = prepared.apply(
        replace(patients, values={**patients.values, name: raw}, observed={**patients.observed, name: there})
    )
    whole, whole_mask = whole_table(alike, name)
    values, observed = whole[seen, :number], whole_mask[seen, :number]
    usable = observed & _usable(values, observed, least)
    mean = (values * usable).sum(0) / np.maximum(usable.sum(0), 1)
    return np.asarray((values - mean) * usable, dtype=np.float64)


def _pair_columns(left: Array, right: Array, both: Mask, least: int) -> Mask:
    """Mask [G] of the columns of which sums over both modalities may leave.

    Of two columns that both have a common value, such as a mutation and a copy number, the sums give the patients who
    have neither, one or both: there are enough of each.
    """
    mask = _usable(left * both, both, least) & _usable(right * both, both, least)
    for column in np.flatnonzero(mask).tolist():
        seen = both[:, column]
        codes = [codes_of(values[seen, column], seen[seen], least) for values in (left, right)]
        if codes[0] is not None and codes[1] is not None:
            cell = 2 * (codes[0] != 0) + (codes[1] != 0)
            mask[column] = bool((np.bincount(cell, minlength=4) >= least).all())
    return mask


def _structure_sums(
    agreement: Federation,
    modality: Modality,
    standardised: PatientBatch,
    reordered: PatientBatch,
    used: Array | None,
    least: int,
    asked: Arrays,
) -> dict[str, Array]:
    """Sums of disorder, ordinary and in another order, and of the logarithm of the size."""
    values, observed = table(standardised, modality)
    name, behind = modality.name, float(asked[behind_name(modality.name)][0])
    center = asked.get(center_name(name), np.zeros(values.shape[1]))
    products = asked[products_name(name)] * behind
    directions = figures.basis(products)
    sums: dict[str, Array] = {}
    if is_centered(modality):
        sums[figure_name(Check.SIZE, (name,))] = _moments(figures.log_size(values, observed), None, least)
    if not directions.shape[1] or not len(values):
        return sums
    part = np.zeros_like(values) if used is None else used * np.sqrt(len(used) / (len(used) - 1))
    centred = (values - center) * observed
    share = figures.outside_without(centred, products, part, start_signs(agreement, modality))
    ordinary = judged_disorder(modality, values, observed, center, directions, share)
    seen = has_enough(standardised.observed[name].numpy()[:, : values.shape[1]])
    other, other_observed = whole_table(reordered, name)
    other, other_observed = other[seen, : values.shape[1]], other_observed[seen, : values.shape[1]]
    spoilt = judged_disorder(modality, other, other_observed, center, directions)
    return sums | {figure_name(Check.STRUCTURE, (name,)): _moments(ordinary, spoilt, least)}


def _agreement_sums(pair: SharedColumns, standardised: PatientBatch, least: int, asked: Arrays) -> Array:
    """Sums of disagreement, ordinary and with the next patient's second table."""
    left, right, both = both_tables(standardised, pair)
    if not len(left):
        return np.zeros(FIGURE)
    behind = asked[behind_name(pair.name)]
    whole = np.concatenate([behind[None], asked[pair_name(pair.name)] * behind])
    terms = figures.pair_terms(left, right, both & _pair_columns(left, right, both, least))
    ordinary = figures.disagreement(left, right, both, whole[:, None] - terms)
    spoilt = figures.disagreement(left, np.roll(right, 1, 0), both & np.roll(both, 1, 0), whole)
    return _moments(ordinary, spoilt, least)


def _moments(ordinary: Array, spoilt: Array | None, least: int) -> Array:
    """Sums [5] of a figure over the patients who have it.

    They are 0 where patients are too few, or few of them make nearly all of it. Fewer patients without a figure than
    the minimum count have the mean of the others, as the number would tell of them.
    """
    other = np.zeros_like(ordinary) if spoilt is None else spoilt
    figure = np.stack([ordinary, other], 1)
    defined: Mask = np.logical_and.reduce(np.isfinite(figure), axis=1)
    if defined.sum() < least:
        return np.zeros(FIGURE)
    lacking = are_few(int((~defined).sum()), least)
    figure = np.where(defined[:, None], figure, figure[defined].mean(0)) if lacking else figure[defined]
    everywhere = np.ones(figure.shape, dtype=np.bool_)
    if not _usable(figure.round(GRID), everywhere, least).all() or _is_dominated(figure, least):
        return np.zeros(FIGURE)
    return np.array(
        [len(figure), *np.stack([figure, np.square(figure)], 1).sum(0).T.ravel()], dtype=np.float64
    )


def _is_dominated(figure: Array, least: int) -> bool:
    """Whether fewer than `least` patients make nearly all distances from a figure's median."""
    squares = np.sort(np.square(figure - np.median(figure, 0)), axis=0)[::-1]
    return bool((squares[: least - 1].sum(0) > MOST_OF_FEW * squares.sum(0)).any())
