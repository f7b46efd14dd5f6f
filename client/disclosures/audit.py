"""Audit of exact sums over different sets of patients, for combinations about few of them.

Sums that were all disclosed can be added and subtracted at will, not only in pairs: of the sums over A, over B and
over both with one patient more, no two are about few patients, and all three together are about one (Chin & Ozsoyoglu
1981, *Statistical database design*). A sum over n patients is a row of n zeros and ones. Some combination of the rows
is about the patients T alone if, and only if, without the columns of T the rows have a lower rank.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MOST_SETS = 20_000
"""Sets of patients that are tried; with more, the smallest pattern is taken to be exposed."""


Pattern = tuple[int, ...]
"""By sum 0 where a patient is not in it, else the number of the patient's value, counted from 1."""


def patterns_of(values: NDArray[np.uint8]) -> dict[Pattern, int]:
    """Count the patients by pattern.

    Args:
        values: [sums, patients], a code of the patient's value in a sum; 0 where the patient is not in it.
    """
    kinds = np.zeros(values.shape, dtype=np.int64)
    for row in range(len(values)):
        same = values[: row + 1] == values[row]
        kinds[row] = np.where(values[row] > 0, same.argmax(axis=0) + 1, 0)
    return dict(Counter(tuple(map(int, pattern)) for pattern in kinds.T if pattern.any()))


def fewest_exposed(patients: Mapping[Pattern, int], least: int) -> int | None:
    """Return the fewest patients behind a combination of the sums, if fewer than `least`.

    Args:
        patients: number of patients by pattern.
        least: the fewest patients that anything exact may be about.
    """
    return _fewest(tuple(sorted(patients.items())), least)


@lru_cache(maxsize=4096)
def _fewest(patients: tuple[tuple[Pattern, int], ...], least: int) -> int | None:
    small = [(pattern, count) for pattern, count in patients if count < least]
    if not small:
        return None
    rank = _rank([pattern for pattern, _ in patients])
    exposed = []
    for tried, chosen in enumerate(_subsets(small, least)):
        if tried == MOST_SETS:
            return min(count for _, count in small)
        without = {pattern for pattern, _ in chosen}
        if _rank([pattern for pattern, _ in patients if pattern not in without]) < rank:
            exposed.append(sum(count for _, count in chosen))
    return min(exposed, default=None)


def _subsets(small: Sequence[tuple[Pattern, int]], least: int) -> Iterator[tuple[tuple[Pattern, int], ...]]:
    """Yield every choice of one or more patterns with fewer than `least` patients together."""
    for index, first in enumerate(small):
        if first[1] < least:
            yield (first,)
            for more in _subsets(small[index + 1 :], least - first[1]):
                yield (first, *more)


def _rank(patterns: Sequence[Pattern]) -> int:
    """Rank of the sums over patients with these patterns; every value of a patient is a column."""
    columns = {tuple(kind == value for kind in pattern) for pattern in patterns for value in {*pattern} - {0}}
    return int(np.linalg.matrix_rank(np.array(sorted(columns), dtype=np.float64))) if columns else 0
