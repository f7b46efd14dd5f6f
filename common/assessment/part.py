"""Protocol of a part of an assessment: a hospital's sums about a trained model.

After the last round the coordinator asks for the sums of every part, question by question. What it makes of them goes
into the release as a member of its own. The parts of a kind of record are listed in `common.agreement.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from common.agreement.agreement import Agreement
from common.agreement.kinds import kind_named, part

if TYPE_CHECKING:  # the egress gate asks a part for names and shapes, and is spared torch
    from common.assessment.view import View

Arrays = Mapping[str, NDArray[Any]]
"""Name -> array, float64 in messages."""

ROUNDING = 1e-6
"""Share of the most that patients add by which rounding may bring a sum beyond it."""


class Whose(StrEnum):
    """Patients of a hospital that a part is about."""

    TRAINING = "training"
    VALIDATION = "validation"
    """They did not train, and helped to choose the round."""
    CALIBRATION = "calibration"
    """They neither trained nor chose anything: the share `training.calibration_fraction`."""
    HELD_OUT = "held-out"
    """Those who did not train and test nothing: validation and calibration together."""
    TEST = "test"
    """They neither trained, nor chose, nor calibrated anything: the share `training.test_fraction`."""


@dataclass(frozen=True)
class Sum:
    """Array of sums, each over patients.

    Attributes:
        shape: of the array.
        low: the least that one patient adds to a sum.
        high: the most.
    """

    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0

    @property
    def size(self) -> int:
        """Bytes of the array."""
        return 8 * prod(self.shape)

    def holds(self, array: NDArray[Any], patients: int) -> bool:
        """Whether so many patients can have these sums, with room for rounding."""
        room = ROUNDING * patients * max(abs(self.low), abs(self.high))
        low, high = min(0.0, patients * self.low), max(0.0, patients * self.high)
        return bool(((low - room <= array) & (array <= high + room)).all())


@dataclass(frozen=True)
class Asked:
    """Array that a question brings.

    Attributes:
        shape: of the array.
        low: the least that honest sums of all hospitals make of it.
        high: the most.
    """

    shape: tuple[int, ...]
    low: float
    high: float

    def fits(self, array: NDArray[Any]) -> bool:
        """Whether an array has this form, and numbers between the limits."""
        if array.dtype != np.float64 or array.shape != self.shape:
            return False
        return bool(((self.low <= array) & (array <= self.high)).all())


@dataclass(frozen=True)
class SiteSums:
    """Sums of a hospital.

    Attributes:
        patients: that the part is about, whether or not a sum has any.
        sums: name -> float64; what is about fewer patients than the hospital's minimum count is 0.
    """

    patients: int
    sums: Arrays


A = TypeVar("A", bound=Agreement, contravariant=True)
V = TypeVar("V", bound="View[Any, Any, Any]", contravariant=True)


class Part(Protocol[A, V]):
    """Part of an assessment.

    Type parameters: the agreement's schema, and the view of a hospital's patients.

    Attributes:
        name: in messages and files.
        whose: patients that it is about.
        member: file in a release that is made of its sums.
    """

    name: str
    whose: Whose
    member: str

    def questions(self, agreement: A, /) -> int:
        """Return the number of questions; 0 if the agreement has nothing for this part."""
        ...

    def asked(self, agreement: A, number: int, /) -> Mapping[str, Asked]:
        """Names, shapes and limits of the float64 arrays that a question brings beside the model.

        Questions count from 0.
        """
        ...

    def sums(self, agreement: A, number: int, /) -> Mapping[str, Sum]:
        """Names, shapes and limits of the sums that answer a question."""
        ...

    def computed(self, view: V, asked: Arrays, number: int, /) -> Arrays:
        """Compute a hospital's sums, without those about fewer than `view.least` patients."""
        ...

    def next(self, agreement: A, sites: Mapping[str, SiteSums], number: int, /) -> Arrays:
        """Make the arrays of the question after `number` from the hospitals' sums."""
        ...

    def content(self, agreement: A, sites: Mapping[str, SiteSums], /) -> bytes | None:
        """Make the member of a release from the last sums; None if they do not suffice."""
        ...


@runtime_checkable
class NoisedPart(Part[A, V], Protocol[A, V]):
    """Part of one question whose sums leave under `privacy` too, with noise.

    It is then about all units of a hospital, because all of them train.
    """

    def bound(self, agreement: A, /) -> float:
        """Return the largest Euclidean norm of what one unit adds to all sums together."""
        ...

    def bounded(self, view: V, /) -> NDArray[np.float64]:
        """Sum up what units add, each within the bound; flat, in the order of `Part.sums`."""
        ...


AnyPart: TypeAlias = "Part[Agreement, Any]"
"""A part as whoever does not know its records sees it."""


def parts_of(agreement: Agreement) -> tuple[AnyPart, ...]:
    """Return the parts of an agreement that ask anything, in the order in which they are asked.

    Under `privacy` those alone whose sums get noise.
    """
    parts: list[AnyPart] = [part(path) for path in kind_named(agreement.kind).assessment]
    if agreement.privacy is not None:
        parts = [noised for noised in parts if isinstance(noised, NoisedPart)]
    return tuple(asking for asking in parts if asking.questions(agreement))


def flat_size(part: AnyPart, agreement: Agreement) -> int:
    """Return the numbers in all sums of a part's only question."""
    return sum(prod(limit.shape) for limit in part.sums(agreement, 0).values())


def unflattened(part: AnyPart, agreement: Agreement, flat: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return sums by name, of those that lie flat in the order of `Part.sums`."""
    sums, start = {}, 0
    for name, limit in part.sums(agreement, 0).items():
        sums[name] = flat[start : start + prod(limit.shape)].reshape(limit.shape).copy()
        start += prod(limit.shape)
    return sums


def members_of(agreement: Agreement) -> dict[str, AnyPart]:
    """Return every part of the agreement's kind by its member of a release."""
    parts: list[AnyPart] = [part(path) for path in kind_named(agreement.kind).assessment]
    return {making.member: making for making in parts}


def questions_of(agreement: Agreement) -> tuple[tuple[AnyPart, int], ...]:
    """Return every question of an assessment as (part, number), in order."""
    return tuple(
        (asking, number) for asking in parts_of(agreement) for number in range(asking.questions(agreement))
    )


def place_of(agreement: Agreement, name: str, number: int) -> int:
    """Return the place of a question in an assessment.

    Raises:
        ValueError: if there is no such question.
    """
    return [(asking.name, index) for asking, index in questions_of(agreement)].index((name, number))


def largest_question(agreement: Agreement) -> int:
    """Return the bytes of the largest arrays of a question or an answer, beside the model."""
    sizes = [
        max(
            sum(8 * prod(array.shape) for array in asking.asked(agreement, number).values()),
            sum(array.size for array in asking.sums(agreement, number).values()),
        )
        for asking, number in questions_of(agreement)
    ]
    return max(sizes, default=0)
