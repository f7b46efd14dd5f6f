"""Grid of settings to try, and a random draw of it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.agreement.agreement import Agreement
from common.counting import counted
from common.errors import InputError, OptionError
from simulations.experiment.private_arms import settled

LARGEST_GRID = 100_000


_GIVEN_ELSEWHERE = {
    "training.seed": "counts the runs of a setting: name the first seed with --set training.seed",
    "minimum_patients": "has no part in a search, whose hospitals are smaller by the closed fold",
}


@dataclass(frozen=True)
class Candidate:
    """Settings to try, and the agreement with them.

    Attributes:
        changes: setting of the federation file -> value, as text; empty for the file's own.
        agreement: under which its runs are trained, for the first seed.
    """

    changes: Mapping[str, str]
    agreement: Agreement

    def seeded(self, seed: int) -> Agreement:
        """Return the agreement for another seed."""
        training = self.agreement.training.model_copy(update={"seed": seed})
        return self.agreement.model_copy(update={"training": training})


def parse_over(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read texts KEY=VALUE,VALUE into setting -> values.

    Raises:
        InputError: for a text of another form, or a setting that is named twice.
    """
    over: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, listed = text.partition("=")
        values = tuple(dict.fromkeys(value.strip() for value in listed.split(",")))
        if not equals or not key or not all(values):
            remedy = "write for instance --over training.learning_rate=0.001,0.003"
            raise OptionError(f"--over {text}", "is not KEY=VALUE,VALUE", remedy)
        if key in over:
            raise OptionError(f"--over {key}", "is given twice", "list all its values once, with commas")
        over[key] = values
    return over


def candidates(
    base: Agreement, over: Mapping[str, Sequence[str]], budget: int | None = None
) -> list[Candidate]:
    """List the settings of a grid in its order, those of the agreement itself left out.

    Args:
        base: agreement to change.
        over: setting -> values to try.
        budget: number of settings drawn at random out of the grid, by the agreement's seed; None for all.

    Raises:
        InputError: if there is nothing to try, the grid is too large, or a setting does not fit.
    """
    if not over:
        raise OptionError("--over", "is missing", "name a setting and values, such as model.dropout=0.1,0.3")
    for key in over:
        if key in _GIVEN_ELSEWHERE:
            raise OptionError(f"--over {key}", _GIVEN_ELSEWHERE[key], "leave it out")
    size = math.prod(len(values) for values in over.values())
    if size > LARGEST_GRID:
        what = f"makes a grid of {counted(size, 'setting')}"
        raise OptionError("--over", what, f"name fewer values: {LARGEST_GRID:,} settings are the most")
    order = np.arange(size) if budget is None else np.random.default_rng(base.training.seed).permutation(size)
    wanted: dict[str, tuple[int, Candidate]] = {}
    for number, changes in _points(over, order):
        if budget is not None and len(wanted) == budget:
            break
        agreement = _changed(base, changes)
        if agreement.digest != base.digest:
            wanted.setdefault(agreement.digest, (number, Candidate(changes, agreement)))
    if not wanted:
        raise OptionError("--over", "names the settings of the file itself", "name other values")
    return [candidate for _, candidate in sorted(wanted.values(), key=lambda numbered: numbered[0])]


def _points(
    over: Mapping[str, Sequence[str]], order: Sequence[int] | np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number, settings) of the grid's points in an order; the last key changes fastest."""
    shape = [len(values) for values in over.values()]
    for number in order:
        indices = np.unravel_index(int(number), shape)
        values = (values[int(index)] for values, index in zip(over.values(), indices, strict=True))
        yield int(number), dict(zip(over, values, strict=True))


def _changed(base: Agreement, changes: Mapping[str, str]) -> Agreement:
    try:
        return settled(base, changes, (), None)[0]
    except InputError as error:
        where = f"--over {error.where.removeprefix('--set').strip()}".strip()
        raise type(error)(where, error.what, error.remedy) from None
