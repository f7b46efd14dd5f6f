"""Updates as fewer bytes: what comes back, what is lost, and that no other bytes are taken for an update."""

import math
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.agreement.settings import Wire
from common.messages.compression import LEVELS, ROW, DecodeError, decode, encode, flatten, unflatten
from common.messages.packing import Arrays, pack

HALF, INTEGERS, LARGEST = Wire(update="float16"), Wire(update="int8"), Wire(update="top-k", share=0.1)
WIRES = pytest.mark.parametrize("wire", [HALF, INTEGERS, LARGEST], ids=lambda wire: wire.update)
SHAPES = {"b.weight": (16, 8), "a.weight": (5, 200), "b.bias": (7,), "scale": (), "none": (0, 4)}
SIZE = 16 * 8 + 5 * 200 + 7 + 1
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


def normal(size: int = SIZE, seed: int = 0) -> NDArray[np.float32]:
    return (1e-3 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def same(one: Arrays, other: Arrays) -> bool:
    form = [
        {name: (array.dtype, array.shape, array.tobytes()) for name, array in each.items()}
        for each in (one, other)
    ]
    return form[0] == form[1]


def test_parameters_lie_in_order_of_name_and_come_back() -> None:
    arrays: Arrays = {name: normal(math.prod(shape)).reshape(shape) for name, shape in SHAPES.items()}
    flat = flatten(arrays)
    assert flat.shape == (SIZE,)
    np.testing.assert_array_equal(flat[:1000], arrays["a.weight"].ravel())
    again = unflatten(flat, dict(reversed(SHAPES.items())))
    assert same(again, arrays)
    assert flatten({}).shape == (0,)


@WIRES
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 99), extremes=st.dictionaries(st.integers(0, SIZE - 1), FLOATS, max_size=30))
def test_every_finite_update_has_one_form_and_keeps_its_zeros(
    wire: Wire, seed: int, extremes: dict[int, float]
) -> None:
    update = normal(seed=seed)
    update[::3] = 0
    update[[*extremes]] = [*extremes.values()]
    arrays = encode(update, wire, SHAPES)
    back = decode(arrays, wire, SHAPES)
    assert (back.dtype, back.shape) == (update.dtype, update.shape)
    assert np.isfinite(back).all()
    assert not back[update == 0].any()
    assert same(encode(back, wire, SHAPES), arrays)
    assert not (np.sign(back) * np.sign(update) < 0).any()
    assert (np.abs(update - back) <= np.abs(update)).all()  # so that a residual never grows by encoding


@WIRES
def test_an_update_of_nothing(wire: Wire) -> None:
    assert decode(encode(np.zeros(0, np.float32), wire, {}), wire, {}).shape == (0,)


def test_halves_are_rounded_and_end_at_the_largest() -> None:
    update = np.array([1 + 2**-12, -1e9, 1e-9, -0.0, 65504, 0.25, 0], np.float32)
    back = decode(encode(update, HALF, {"a": (7,)}), HALF, {"a": (7,)})
    assert back.tolist() == [1, -65504, 0, 0, 65504, 0.25, 0]
    assert not np.signbit(back[2:4]).any()


def test_integers_are_within_half_a_step_of_their_rows_own_scale() -> None:
    update = normal()
    update[200:400] *= 1e-6  # the second row of a.weight
    error = np.abs(decode(encode(update, INTEGERS, SHAPES), INTEGERS, SHAPES) - update)
    for row in range(5):
        here = slice(200 * row, 200 * (row + 1))
        assert error[here].max() <= np.abs(update[here]).max() / 64 / 2


def test_short_rows_share_a_scale_and_parameters_never_do() -> None:
    """16 rows of 8 are two of 64; a bias, however short, has its own."""
    update = np.zeros(SIZE, np.float32)
    weight, bias, scale = 1000, 1000 + 7, 1000 + 7 + 1  # a.weight, b.bias, b.weight, scale
    update[weight : weight + 7] = 1e-4
    update[bias + 3], update[bias + 63], update[bias + 64] = 1.0, 0.001, 0.001
    update[scale - 1 + 128] = 1e-9
    back = decode(encode(update, INTEGERS, SHAPES), INTEGERS, SHAPES)
    assert (back[bias + 3], back[bias + 63]) == (1.0, 0.0)
    np.testing.assert_allclose(back[[weight, bias + 64, scale - 1 + 128]], [1e-4, 1e-3, 1e-9], rtol=0.01)
    assert ROW == 64


@pytest.mark.parametrize("largest", [3.4028235e38, 1e-30, 1e-37, 1e-45])
def test_integers_of_any_size(largest: float) -> None:
    update = np.linspace(-largest, largest, 101).astype(np.float32)
    back = decode(encode(update, INTEGERS, {"a": (101,)}), INTEGERS, {"a": (101,)})
    if largest >= 1e-36:
        np.testing.assert_allclose(back, update, atol=largest / 64)
    else:  # no update of training is that small
        assert not back.any()


def test_the_largest_travel_the_first_of_equals_and_no_zeros() -> None:
    shapes = {"a": (20,)}
    update = np.zeros(20, np.float32)
    update[[3, 7, 11]] = [0.5, -2, 0.5]
    back = decode(encode(update, LARGEST, shapes), LARGEST, shapes)
    assert {place: float(back[place]) for place in np.flatnonzero(back)} == {3: 0.5, 7: -2}
    update[[3, 11]] = 1e-9  # 0 in half precision
    arrays = encode(update, LARGEST, shapes)
    assert arrays["values"].tolist() == [-2]
    assert decode(arrays, LARGEST, shapes)[7] == -2


@pytest.mark.parametrize(
    ("wire", "times"),
    [
        (HALF, 1.99),
        (INTEGERS, 4.2),
        (Wire(update="top-k", share=0.2), 8),
        (Wire(update="top-k", share=0.09), 16),
    ],
)
def test_how_many_times_fewer_bytes_normal_values_are(wire: Wire, times: float) -> None:
    shapes = {"weight": (400, 400)}
    update = normal(400 * 400)
    packed = [
        pack({"update": arrays}) for arrays in (unflatten(update, shapes), encode(update, wire, shapes))
    ]
    plain, encoded = (flat.size + len(manifest) for flat, manifest in packed)
    assert plain / encoded >= times


def deflated(plain: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.compress(plain), np.uint8)


EIGHT = {"a": (8,)}
LEVEL = bytes([0, 1, 2, 3, 4, 5, 6, 7, 64])
"""An exponent of 0, and eight levels."""
SPOILT: dict[str, tuple[Wire, dict[str, Any]]] = {
    "nothing": (HALF, {}),
    "halves too few": (HALF, {"values": np.zeros(7, np.float16)}),
    "halves too many": (HALF, {"values": np.zeros(9, np.float16)}),
    "halves in rows": (HALF, {"values": np.zeros((2, 4), np.float16)}),
    "floats for halves": (HALF, {"values": np.zeros(8, np.float32)}),
    "infinite halves": (HALF, {"values": np.full(8, np.inf, np.float16)}),
    "no numbers": (HALF, {"values": np.full(8, np.nan, np.float16)}),
    "an array more": (HALF, {"values": np.zeros(8, np.float16), "CANARY-8371": np.zeros(1, np.float16)}),
    "another encoding": (HALF, {"levels": deflated(LEVEL)}),
    "levels not compressed": (INTEGERS, {"levels": np.frombuffer(LEVEL, np.uint8)}),
    "levels too few": (INTEGERS, {"levels": deflated(LEVEL[:-1])}),
    "levels too many": (INTEGERS, {"levels": deflated(LEVEL + b"C")}),
    "something behind": (INTEGERS, {"levels": np.append(deflated(LEVEL), np.uint8(67))}),
    "levels cut short": (INTEGERS, {"levels": deflated(LEVEL)[:-1]}),
    "levels as floats": (INTEGERS, {"levels": deflated(LEVEL).astype(np.float32)}),
    "a bomb": (INTEGERS, {"levels": deflated(bytes(1 << 26))}),
    "a level of -128": (INTEGERS, {"levels": deflated(LEVEL[:-1] + b"\x80")}),
    "an exponent beyond": (INTEGERS, {"levels": deflated(b"\x7a" + LEVEL[1:])}),
    "a bitmap too short": (LARGEST, {"positions": deflated(b""), "values": np.zeros(0, np.float16)}),
    "too many positions": (LARGEST, {"positions": deflated(b"\xc0"), "values": np.ones(2, np.float16)}),
    "too few values": (LARGEST, {"positions": deflated(b"\x80"), "values": np.ones(0, np.float16)}),
    "too many values": (LARGEST, {"positions": deflated(b"\x80"), "values": np.ones(2, np.float16)}),
    "a value of 0": (LARGEST, {"positions": deflated(b"\x80"), "values": np.zeros(1, np.float16)}),
    "an infinite value": (
        LARGEST,
        {"positions": deflated(b"\x80"), "values": np.full(1, np.inf, np.float16)},
    ),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_was_never_encoded_is_no_update(case: str) -> None:
    wire, arrays = SPOILT[case]
    with pytest.raises(DecodeError):
        decode(arrays, wire, EIGHT)


def test_no_position_is_beyond_the_last_entry() -> None:
    values = np.ones(1, np.float16)
    for bits, fits in ((b"\x10", True), (b"\x08", False), (b"\x01", False)):
        arrays: Arrays = {"positions": deflated(bits), "values": values}
        if fits:
            assert decode(arrays, LARGEST, {"a": (4,)}).tolist() == [0, 0, 0, 1]
        else:
            with pytest.raises(DecodeError):
                decode(arrays, LARGEST, {"a": (4,)})


@pytest.mark.parametrize(
    ("wire", "other"),
    [
        (HALF, lambda arrays: {"values": -arrays["values"]}),  # zeros with a sign
        (INTEGERS, lambda arrays: {"levels": deflated(zlib.decompress(arrays["levels"].tobytes()))}),
        (INTEGERS, lambda arrays: {"levels": deflated(b"\x05" + bytes(8))}),  # a scale of nothing
        (LARGEST, lambda arrays: {**arrays, "positions": deflated(b"\0")}),
    ],
    ids=["signed zeros", "another compression", "a scale of zeros", "another bitmap"],
)
def test_another_form_of_the_same_update_shows(wire: Wire, other: Callable[[Any], Arrays]) -> None:
    """They may decode to the same numbers, but are not what encoding these gives: a gate can tell."""
    canonical = encode(np.zeros(8, np.float32), wire, EIGHT)
    spoilt = other(canonical)
    back = decode(spoilt, wire, EIGHT)
    assert not back.any()
    assert not same(encode(back, wire, EIGHT), spoilt)


def test_levels_use_the_range() -> None:
    update = normal()
    told = zlib.decompress(encode(update, INTEGERS, SHAPES)["levels"].tobytes())
    levels = np.frombuffer(told, np.int8)[-SIZE:]
    assert 64 <= np.abs(levels[:200].astype(int)).max() <= LEVELS
