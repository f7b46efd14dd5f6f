"""Lasting record of the exact numbers that left a hospital, and audit of every new one.

A minimum count protects one answer. Two answers about sets that differ by a patient are about that patient, be it
because a seed, a fraction or a fold changed, because the tables grew, or because a cell was corrected. The record
(`SITE/records/disclosures.jsonl`, a `client.chained_log.site_log`) therefore holds who was behind every number, as
keyed hashes, and the number itself. The same patients with the same values get the same number again, byte by byte.
Others get one only if no combination of it with all numbers of the same name, earlier ones and those of the same
answer, is about fewer patients than the minimum count, the largest that ever held. A name is the hospital's file and
column, and a patient's value is compared as the table has it: what an agreement calls a task or a modality is no
matter.

What an agreement makes of the values is one function for good. Sums of two, such as of two clips, subtract to the sum
of a third, which can be the same for all patients but the one whose value lies between the clips. A second function
has an answer only if its sums are those of the first. Levels of a category have their own counts, which leave together
or not at all: whoever knows how many patients have each value learns of no function's sums anything more.

Not covered: combinations of numbers of different columns; a file or a column that the hospital itself renames; the
weights of rounds; what another site folder with the same patients disclosed; and what left before the hospital
acknowledged that its record was lost.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from client.chained_log.site_log import SiteLog
from client.disclosures.audit import fewest_exposed, patterns_of
from client.disclosures.disclosure import LEVEL, Disclosure, DisclosureEntry, fingerprint
from common.counting import counted
from common.errors import Refusal, RefusalCode

NAME = "disclosures"
"""Name of the record among a site's logs."""
SHOWN = 5
"""Numbers that are named one by one in a sentence."""


log = logging.getLogger("consilium.disclosures")


@dataclass(frozen=True)
class Exposure:
    """Numbers that may not leave, for what they would tell together with earlier ones.

    Attributes:
        cells: names of the numbers.
        patients: the fewest patients that a combination would be about.
        least: the fewest that it must be about.
    """

    cells: tuple[str, ...]
    patients: int
    least: int

    def sentence(self) -> str:
        """The exposure in words, for the hospital alone."""
        names = ", ".join(self.cells[:SHOWN])
        more = f" and {len(self.cells) - SHOWN:,} more" if len(self.cells) > SHOWN else ""
        whom = counted(self.patients, "patient")
        risk = f"exact numbers would tell of {whom}, fewer than {self.least}"
        return f"together with what left before, {risk}: {names}{more}"


def release_once(site: Path, new: Disclosure, federation: str, key: bytes) -> NDArray[np.float64]:
    """Enter exact numbers in the record of a site folder, and return them as they may leave.

    Args:
        site: the site folder.
        new: the numbers.
        federation: digest of the agreement.
        key: the site's key.

    Raises:
        Refusal: DISCLOSURE_DIFFERS if they may not leave; RECORD_INVALID if the record is not as it was left, or of
            another key; RECORD_UNAVAILABLE if it cannot be used just now.
    """
    with SiteLog(site, NAME, DisclosureEntry).opened() as record:
        before = _disclosures(record.contents, key)
        compared = compare(new, before)
        if compared.exposure is not None:
            log.warning("refused: %s", compared.exposure.sentence())
            raise Refusal(RefusalCode.DISCLOSURE_DIFFERS)
        if not compared.nothing_new:
            kept = replace(new, sums=compared.sums)
            record.append(kept.entry(datetime.now(UTC).isoformat(timespec="seconds"), federation, key))
    return compared.sums


def exposure_of(site: Path, new: Disclosure, key: bytes) -> Exposure | None:
    """Return what keeps exact numbers from leaving, without entering them.

    Raises:
        Refusal: as `release_once`, but for DISCLOSURE_DIFFERS.
    """
    return compare(new, _disclosures(SiteLog(site, NAME, DisclosureEntry).contents(), key)).exposure


def _disclosures(entries: Sequence[DisclosureEntry], key: bytes) -> list[Disclosure]:
    try:
        disclosures = [Disclosure.of(entry) for entry in entries]
    except ValueError as error:
        raise Refusal(RefusalCode.RECORD_INVALID) from error
    if any(entry.key != fingerprint(key) for entry in entries):
        raise Refusal(RefusalCode.RECORD_INVALID)
    return disclosures


@dataclass(frozen=True)
class Compared:
    """Outcome of a comparison.

    Attributes:
        sums: [3, N], the numbers as they may leave.
        nothing_new: whether every number left before.
        exposure: what keeps them from leaving.
    """

    sums: NDArray[np.float64]
    nothing_new: bool
    exposure: Exposure | None


def compare(new: Disclosure, before: Sequence[Disclosure]) -> Compared:
    """Compare exact numbers with all that left before."""
    least = max([new.least, *(disclosure.least for disclosure in before)])
    rows = {mark: row for row, mark in enumerate(dict.fromkeys(_marks([new, *before])))}
    asked, earlier = _Aligned(new, rows), [_Aligned(disclosure, rows) for disclosure in before]
    sums, nothing_new, exposed = new.sums.copy(), True, dict[str, int]()
    left = dict[str, list[_Number]]()
    for disclosure in earlier:
        for number in disclosure.disclosed():
            left.setdefault(number.name, []).append(number)
    for number in asked.disclosed():
        others = left.setdefault(number.name, [])
        alike = [other for other in others if np.array_equal(other.codes, number.codes)]
        same = _same(number, alike)
        if same is not None:
            if not same.equals(number):
                exposed[number.name] = 1  # a value changed, and its code did not
            sums[:, number.column] = same.sums
            continue
        nothing_new = False
        if others and not alike:
            distinct = {other.codes.tobytes(): other.codes for other in others}.values()
            fewest = fewest_exposed(patterns_of(np.stack([*distinct, number.codes])), least)
            if fewest is not None:
                exposed[number.name] = fewest
        if any(number.is_other_function(other) for other in others):
            exposed[number.name] = 1
        others.append(number)
    if not exposed:
        return Compared(sums, nothing_new, None)
    return Compared(sums, nothing_new, Exposure(tuple(exposed), min(exposed.values()), least))


def _same(number: "_Number", alike: Sequence["_Number"]) -> "_Number | None":
    """Find the number, among those of the same patients and values, that this one is again."""
    for other in alike:
        if other.form == number.form:
            return other
    return next((other for other in alike if other.equals(number)), None)


def _marks(disclosures: Sequence[Disclosure]) -> Iterator[bytes]:
    for disclosure in disclosures:
        yield from disclosure.marks


@dataclass(frozen=True)
class _Number:
    """Number that left, or that is to leave.

    Attributes:
        name: by what it is computed from.
        form: what the agreement makes of the values.
        column: in its disclosure.
        codes: [patients of all disclosures].
        sums: [3], number, sum and sum of squares.
    """

    name: str
    form: str
    column: int
    codes: NDArray[np.uint8]
    sums: NDArray[np.float64]

    def equals(self, other: "_Number") -> bool:
        """Whether both are the same but for rounding."""
        return np.allclose(self.sums, other.sums, rtol=1e-9, atol=1e-9)

    def is_other_function(self, other: "_Number") -> bool:
        """Whether both sum numbers that are made of the values in different ways."""
        is_level = self.form.startswith(LEVEL) or other.form.startswith(LEVEL)
        return self.form != other.form and not is_level


class _Aligned:
    """Disclosure whose patients are the rows of all disclosures that are compared."""

    def __init__(self, disclosure: Disclosure, rows: dict[bytes, int]) -> None:
        self._disclosure = disclosure
        self._rows, self._size = np.array([rows[mark] for mark in disclosure.marks], dtype=np.intp), len(rows)

    def disclosed(self) -> Iterator[_Number]:
        """Yield the numbers that were not withheld."""
        whole = self._disclosure
        for column, (name, form) in enumerate(zip(whole.cells, whole.forms, strict=True)):
            if whole.sums[0, column] > 0:
                codes = np.zeros(self._size, dtype=np.uint8)
                codes[self._rows] = whole.codes[:, column]
                yield _Number(name, form, column, codes, whole.sums[:, column])
