"""Structure of ordinary tables in a release, made of hospitals' sums."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from common.agreement.federation import Federation
from common.assessment.part import Arrays, SiteSums
from common.errors import InvalidContentError
from common.release.stamp import arrays_of
from common.structure import figures
from common.structure.arrays import (
    FIGURES,
    MOMENTS,
    answered_sums,
    asked_arrays,
    behind_name,
    center_name,
    columns_name,
    echo_name,
    figure_name,
    pair_name,
    products_name,
)
from common.structure.figures import LARGEST_SIZE, LEAST_SIZE
from common.structure.limits import (
    Check,
    FigureLimit,
    Key,
    Moments,
    are_possible,
    moments,
    observed_limit,
    share_limits,
    size_limit,
)
from common.structure.plan import pairs, sized_modalities, uncentered_modalities, wide_modalities

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Structure:
    """Structure of ordinary tables.

    Attributes:
        directions: modality -> [columns, D], orthonormal.
        centers: modality -> [columns], mean of standardised values.
        pairs: name of a pair -> [6, G], moments of its columns (`common.structure.figures.pair_sums`).
        limits: of the figures that are checked.
    """

    directions: Arrays
    centers: Arrays
    pairs: Arrays
    limits: tuple[FigureLimit, ...]


def next_arrays(agreement: Federation, sites: Mapping[str, SiteSums]) -> Arrays:
    """Make the arrays of the last question from the sums of all hospitals."""
    total = {
        name: np.sum([site.sums[name] for site in sites.values()], axis=0)
        if sites
        else np.zeros(limits.shape)
        for name, limits in answered_sums(agreement, FIGURES - 1).items()
    }
    arrays: dict[str, Array] = {}
    for part in uncentered_modalities(agreement):
        count, sums = total[columns_name(part.name)]
        arrays[center_name(part.name)] = sums / np.maximum(count, 1.0)
    for part in wide_modalities(agreement):
        behind = total[behind_name(part.name)]
        arrays[behind_name(part.name)] = behind
        arrays[products_name(part.name)] = total[products_name(part.name)] / max(float(behind[0]), 1.0)
    for pair in pairs(agreement):
        count, *sums = total[pair_name(pair.name)]
        arrays[behind_name(pair.name)] = count
        arrays[pair_name(pair.name)] = np.stack(sums) / np.maximum(count, 1.0)
    limits = asked_arrays(
        agreement, FIGURES
    )  # one hospital's impossible sums would else be refused by all others
    return {name: array.clip(limits[name].low, limits[name].high) for name, array in arrays.items()}


def structure_content(agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
    """Make the member of a release; None where no hospital could tell a figure."""
    answered = [site for site in sites.values() if site.patients and any(map(np.any, site.sums.values()))]
    limits = _limits(agreement, answered)
    if not limits:
        return None
    arrays: dict[str, NDArray[np.float32] | Array] = {}
    for part in wide_modalities(agreement):
        directions = figures.basis(_asked(products_name(part.name), answered))
        arrays[f"directions:{part.name}"] = directions.astype(np.float32)
    for part in uncentered_modalities(agreement):
        arrays[center_name(part.name)] = _asked(center_name(part.name), answered).astype(np.float32)
    for pair in pairs(agreement):
        arrays[pair_name(pair.name)] = _asked(pair_name(pair.name), answered).astype(np.float32)
    for limit in limits:
        arrays[_limit_name(limit.check, limit.modalities)] = np.array(
            [
                limit.mean,
                limit.deviation,
                limit.between,
                limit.spoilt,
                limit.look,
                limit.withheld,
                limit.caught,
            ]
        )
    return bytes(save(dict(sorted(arrays.items()))))


def _asked(name: str, answered: list[SiteSums]) -> Array:
    """Median over hospitals of what they were asked with, which is the same for all."""
    echoes = [site.sums[echo_name(name)] / site.patients for site in answered]
    return np.asarray(np.median(echoes, axis=0), dtype=np.float64)


def _limits(agreement: Federation, answered: list[SiteSums]) -> list[FigureLimit]:
    names: list[Key] = [(Check.STRUCTURE, (part.name,)) for part in wide_modalities(agreement)]
    names += [(Check.SIZE, (part.name,)) for part in sized_modalities(agreement)]
    names += [(Check.OBSERVED, (part.name,)) for part in agreement.modalities]
    names += [(Check.AGREEMENT, (pair.first, pair.second)) for pair in pairs(agreement)]
    all_moments: dict[Key, Moments] = {}
    limits = answered_sums(agreement, FIGURES)
    for key in names:
        name = figure_name(*key)
        low, high = (LEAST_SIZE, LARGEST_SIZE) if key[0] is Check.SIZE else (0.0, limits[name].high ** 0.5)
        every = [site.sums[name] for site in answered]
        figure = moments([sums for sums in every if are_possible(sums, low, high)])
        if figure is not None:
            all_moments[key] = figure
    shares = {
        key: figure for key, figure in all_moments.items() if key[0] in (Check.STRUCTURE, Check.AGREEMENT)
    }
    sizes = [size_limit(key[1][0], figure) for key, figure in all_moments.items() if key[0] is Check.SIZE]
    seen = [
        observed_limit(key[1][0], figure) for key, figure in all_moments.items() if key[0] is Check.OBSERVED
    ]
    return [*share_limits(shares), *sizes, *seen]


def _limit_name(check: Check, modalities: tuple[str, ...]) -> str:
    return ":".join(["limit", check, *modalities])


def read_structure(content: bytes, agreement: Federation, where: str) -> Structure:
    """Read the member of a release.

    Raises:
        InvalidContentError: if it is not of this federation file.
    """
    remedy = "install the version of consilium that made the release"
    try:
        arrays = arrays_of(content)
    except ValueError as error:
        raise InvalidContentError(where, str(error), remedy) from None
    limits = []
    for name in [name for name in arrays if name.startswith("limit:")]:
        _, check, *modalities = name.split(":")
        numbers = arrays.pop(name)
        if check not in set(Check) or numbers.shape != (7,):
            raise InvalidContentError(f"{where}, {name}", "is no limit of a known check", remedy)
        limits.append(FigureLimit(Check(check), tuple(modalities), *map(float, numbers)))
    _require_shapes(agreement, arrays, where, remedy)
    wide = {name: np.asarray(array, dtype=np.float64) for name, array in arrays.items()}
    centers = {part.name: np.zeros(len(part.columns)) for part in wide_modalities(agreement)}
    centers |= {part.name: wide[center_name(part.name)] for part in uncentered_modalities(agreement)}
    return Structure(
        {part.name: wide[f"directions:{part.name}"] for part in wide_modalities(agreement)},
        centers,
        {pair.name: _with_counts(wide[pair_name(pair.name)]) for pair in pairs(agreement)},
        tuple(sorted(limits, key=lambda limit: (list(Check).index(limit.check), limit.modalities))),
    )


def _with_counts(means: Array) -> Array:
    """Moments of a pair as if two patients had each column that is known."""
    count = np.where(means.any(0), 2.0, 0.0)
    return np.concatenate([count[None], means * count])


def _require_shapes(agreement: Federation, arrays: Arrays, where: str, remedy: str) -> None:
    expected: dict[str, tuple[int | None, ...]] = {
        f"directions:{part.name}": (len(part.columns), None) for part in wide_modalities(agreement)
    }
    expected |= {center_name(part.name): (len(part.columns),) for part in uncentered_modalities(agreement)}
    expected |= {pair_name(pair.name): (MOMENTS - 1, len(pair.left)) for pair in pairs(agreement)}
    for name in sorted(expected.keys() ^ arrays.keys()):
        raise InvalidContentError(f"{where}, {name}", "is not of this federation file", remedy)
    for name, shape in expected.items():
        sizes = arrays[name].shape
        fits = len(sizes) == len(shape) and all(
            want in (None, size) for want, size in zip(shape, sizes, strict=True)
        )
        if not fits or not np.isfinite(arrays[name]).all():
            raise InvalidContentError(f"{where}, {name}", "has another shape or no numbers", remedy)
