"""Exact numbers about a set of patients, and their form in the hospital's record."""

import base64
import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from client.site_folder.site_key import MARK

LEVEL = "level "
"""Beginning of the form of a number that counts the units with one level of a category."""


class DisclosureEntry(BaseModel):
    """Disclosure in the record: no identifier, no value, and sums that left.

    Attributes:
        at: when, ISO 8601 in UTC.
        federation: digest of the agreement.
        key: fingerprint of the site's key, without which the rest says nothing.
        least: the fewest patients behind a number at the time.
        cells: names of the numbers, by what they are computed from.
        forms: of the numbers: what an agreement makes of the values.
        marks: keyed hashes of the patients, packed.
        codes: keyed hashes of the patients' values, 8 bits each, packed.
        sums: the numbers, packed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    federation: str
    key: str
    least: int = Field(ge=1)
    cells: tuple[str, ...]
    forms: tuple[str, ...]
    marks: str
    codes: str
    sums: str


@dataclass(frozen=True)
class Disclosure:
    """Exact numbers about a set of patients.

    Attributes:
        least: the fewest patients behind a number.
        cells: names of the N numbers, by what they are computed from; several may have one.
        forms: of the N numbers: what an agreement makes of the values.
        marks: keyed hash of every patient.
        codes: [U, N] uint8, a keyed hash of a patient's value; 0 where the patient is not behind a number.
        sums: [3, N] float64: number, sum and sum of squares.
    """

    least: int
    cells: tuple[str, ...]
    forms: tuple[str, ...]
    marks: tuple[bytes, ...]
    codes: NDArray[np.uint8]
    sums: NDArray[np.float64]

    def entry(self, at: str, federation: str, key: bytes) -> DisclosureEntry:
        """Return the disclosure as the record has it."""
        return DisclosureEntry(
            at=at,
            federation=federation,
            key=fingerprint(key),
            least=self.least,
            cells=self.cells,
            forms=self.forms,
            marks=_packed(b"".join(self.marks)),
            codes=_packed(self.codes.tobytes()),
            sums=_packed(self.sums.tobytes()),
        )

    @classmethod
    def of(cls, entry: DisclosureEntry) -> Self:
        """Read a disclosure from the record.

        Raises:
            ValueError: if the entry is not one that was written.
        """
        marks = _unpacked(entry.marks)
        units, cells = len(marks) // MARK, len(entry.cells)
        return cls(
            entry.least,
            entry.cells,
            entry.forms,
            tuple(marks[start : start + MARK] for start in range(0, len(marks), MARK)),
            np.frombuffer(_unpacked(entry.codes), np.uint8).reshape(units, cells),
            np.frombuffer(_unpacked(entry.sums), np.float64).reshape(3, cells),
        )


def codes_of(
    values: NDArray[np.float64], seen: NDArray[np.bool_], names: Sequence[str], key: bytes
) -> NDArray[np.uint8]:
    """Return a code from 1 to 255 per patient and number [U, N], 0 where a patient is not seen.

    Equal values of numbers of one name have equal codes; other values have the same code once in 255 times. A changed
    value that is missed shows in the sums.
    """
    salts = [hashlib.blake2b(name.encode(), key=key, digest_size=8).digest() for name in names]
    salt = np.frombuffer(b"".join(salts), np.uint64)
    bits = (np.where(seen, values, 0.0) + 0.0).view(np.uint64)  # adding 0 turns -0 into 0
    for _ in range(2):
        bits = (bits ^ salt) * np.uint64(0x9E3779B97F4A7C15)
        bits ^= bits >> np.uint64(29)
    return np.where(seen, bits % np.uint64(255) + np.uint64(1), 0).astype(np.uint8)


def fingerprint(key: bytes) -> str:
    """Return the fingerprint of a site's key."""
    return hashlib.sha256(b"fingerprint " + key).hexdigest()[:16]


def _packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def _unpacked(text: str) -> bytes:
    try:
        return zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError("it cannot be unpacked") from error
