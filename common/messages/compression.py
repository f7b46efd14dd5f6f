"""Encodings of a model's update in fewer bytes, as `[wire]` of the federation file says.

An update u [P] is a flat array of the changes of all parameters, in order of their names. Its encodings:

- `float16`: every entry in half precision. 2 bytes an entry.
- `int8`: entry i of row r is q_i x 2^e_r with |q_i| <= 127. A row runs along a parameter's last dimension; shorter
  rows share an exponent until they have `ROW` entries. Scales that are powers of two make decoding exact, and cost
  a byte. The integers are entropy-coded: in a row of normal values they take some 7 bits.
- `top-k`: the largest entries, a share of all, in half precision, and their positions: one bit an entry,
  entropy-coded (Stich et al. 2018).

The entries that an encoding cuts off are not lost: the site adds them to its next update
(`client.training.error_feedback`).

An encoding is canonical: encoding a decoded update again gives the same bytes. So an update has one message, and no
bit is left for anything else to travel in.
"""

import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.agreement.settings import Wire
from common.messages.packing import Arrays

Update = NDArray[np.float32]


Shapes = Mapping[str, tuple[int, ...]]


ROW = 64
"""Least entries of an exponent, where the parameter has as many: at 64 the exponent adds 1.6% to the bytes."""


LEVELS = 127


_SMALLEST, _LARGEST = -127, 121
"""Exponents under which all of -127 .. 127 are exact float32 numbers."""


_ZERO = -128
"""Exponent of a row of zeros."""


_HALF = float(np.finfo(np.float16).max)


_MINUS_ZERO = 0x8000


class DecodeError(Exception):
    """Arrays that are no encoded update."""


def flatten(arrays: Mapping[str, NDArray[Any]]) -> Update:
    """Join parameters to one array [P], in order of their names."""
    parts = [np.asarray(arrays[name], np.float32).ravel() for name in sorted(arrays)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def unflatten(flat: Update, shapes: Shapes) -> Arrays:
    """Split a flat array into parameters of these shapes, as views; the inverse of `flatten`."""
    arrays: Arrays = {}
    start = 0
    for name in sorted(shapes):
        end = start + math.prod(shapes[name])
        arrays[name] = flat[start:end].reshape(shapes[name])
        start = end
    return arrays


def largest_entry(wire: Wire) -> float:
    """Largest entry that an encoding holds without cutting it off."""
    return LEVELS * 2.0**_LARGEST if wire.update == "int8" else _HALF


def encode(update: Update, wire: Wire, shapes: Shapes) -> Arrays:
    """Encode a finite update [P] as the arrays of a message.

    Values beyond the largest that an encoding holds become that largest value.
    """
    if wire.update == "float16":
        return {"values": _halves(update)}
    if wire.update == "int8":
        exponents, levels = _quantised(update, _rows(shapes))
        return {"levels": _deflated(exponents.tobytes() + levels.tobytes())}
    return _largest(update, wire)


def decode(arrays: Arrays, wire: Wire, shapes: Shapes) -> Update:
    """Decode the finite update [P] of a message's arrays.

    Raises:
        DecodeError: if `encode` does not make such arrays of any update under this agreement.
    """
    size = sum(math.prod(shape) for shape in shapes.values())
    if wire.update == "float16":
        _require(set(arrays) == {"values"})
        return _widened(arrays["values"], size)
    if wire.update == "int8":
        _require(set(arrays) == {"levels"})
        return _restored(arrays["levels"], size, _rows(shapes))
    _require(set(arrays) == {"positions", "values"})
    packed = np.frombuffer(_inflated(arrays["positions"], math.ceil(size / 8)), np.uint8)
    chosen = np.flatnonzero(np.unpackbits(packed))
    _require(len(chosen) <= _kept(size, wire) and (not len(chosen) or int(chosen[-1]) < size))
    values = _widened(arrays["values"], len(chosen))
    _require(bool(values.all()))
    update = np.zeros(size, np.float32)
    update[chosen] = values
    return update


def _halves(values: Update) -> NDArray[np.float16]:
    halves = np.clip(values, -_HALF, _HALF).astype(np.float16)
    bits = halves.view(np.uint16)
    bits[bits == _MINUS_ZERO] = 0  # there is one zero
    return halves


def _widened(values: NDArray[np.generic], size: int) -> Update:
    _require(values.dtype == np.float16 and values.shape == (size,))
    wide = values.astype(np.float32)
    _require(bool(np.isfinite(wide).all()))
    return wide


def _rows(shapes: Shapes) -> NDArray[np.intp]:
    """Starts of the rows in the update [R], and the end of the last row."""
    starts: list[int] = []
    begin = 0
    for name in sorted(shapes):
        shape, size = shapes[name], math.prod(shapes[name])
        width = shape[-1] if len(shape) > 1 else size
        if size:
            starts += range(begin, begin + size, width * max(1, ROW // width))
        begin += size
    return np.array([*starts, begin], np.intp)


def _quantised(update: Update, rows: NDArray[np.intp]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """(exponent per row [R], levels [P]); the largest entry of a row gets a level of 64 to 127."""
    if not len(update):
        return np.zeros(0, np.int8), np.zeros(0, np.int8)
    peaks = np.maximum.reduceat(np.abs(update), rows[:-1])
    exponents = np.frexp(peaks)[1] - 7
    exponents = np.where((peaks > 0) & (exponents >= _SMALLEST), np.minimum(exponents, _LARGEST), _ZERO)
    # the scale of a row of zeros is so small that its entries round to zero
    inverse = np.ldexp(np.float32(1), np.where(exponents == _ZERO, -149, -exponents)).astype(np.float32)
    scaled = np.rint(update * np.repeat(inverse, np.diff(rows)))
    return exponents.astype(np.int8), np.clip(scaled, -LEVELS, LEVELS).astype(np.int8)


def _restored(coded: NDArray[np.generic], size: int, rows: NDArray[np.intp]) -> Update:
    plain = np.frombuffer(_inflated(coded, len(rows) - 1 + size), np.int8)
    exponents, levels = plain[: len(rows) - 1].astype(np.int32), plain[len(rows) - 1 :]
    _require(bool((exponents <= _LARGEST).all() and (levels >= -LEVELS).all()))
    scales = np.where(exponents == _ZERO, np.float32(0), np.ldexp(np.float32(1), exponents))
    return levels.astype(np.float32) * np.repeat(scales.astype(np.float32), np.diff(rows))


def _kept(size: int, wire: Wire) -> int:
    """Largest number of entries of an update that travel."""
    assert wire.share is not None
    return math.ceil(size * wire.share)


def _largest(update: Update, wire: Wire) -> Arrays:
    """Largest entries of an update; the first of equal entries, and none that rounds to 0."""
    size, count = len(update), _kept(len(update), wire)
    heights = np.abs(update)
    least = np.partition(heights, size - count)[size - count] if size else np.float32(0)
    chosen = heights > least
    chosen[np.flatnonzero(heights == least)[: count - np.count_nonzero(chosen)]] = True
    positions = np.flatnonzero(chosen)
    values = _halves(update[positions])
    is_some = values.view(np.uint16) != 0
    chosen[positions[~is_some]] = False
    return {"positions": _deflated(np.packbits(chosen).tobytes()), "values": values[is_some]}


def _deflated(plain: bytes) -> NDArray[np.uint8]:
    """Entropy-coded bytes. There are hardly any repetitions to look for, except of zeros."""
    coder = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return np.frombuffer(coder.compress(plain) + coder.flush(), np.uint8)


def _inflated(coded: NDArray[np.generic], size: int) -> bytes:
    """Inflate exactly `size` bytes, and never make more."""
    _require(coded.dtype == np.uint8 and coded.ndim == 1)
    decoder = zlib.decompressobj()
    try:
        plain = decoder.decompress(coded.tobytes(), size + 1)
    except zlib.error:
        raise DecodeError from None
    _require(len(plain) == size and decoder.eof and not decoder.unused_data)
    return plain


def _require(holds: bool) -> None:
    if not holds:
        raise DecodeError
