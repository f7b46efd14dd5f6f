import json
import tracemalloc
import zlib
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.messages.packing import LONGEST, Arrays, UnpackError, digest_of, pack, shapes, unpack

GROUPS: dict[str, Arrays] = {
    "weights": {
        "gene.layers.0.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "shared": np.array(1.5, np.float32),
        "gene.layers.0.bias": np.zeros((3, 0), np.float32),
    },
    "moments": {"modality:rna": np.array([[3.0], [1 / 3], [1e300]])},
    "nothing": {},
}


def assert_same(first: dict[str, Arrays], second: dict[str, Arrays]) -> None:
    assert list(first) == list(second)
    for group, arrays in first.items():
        assert set(arrays) == set(second[group])
        for name, array in arrays.items():
            other = second[group][name]
            assert (array.dtype, array.shape, array.tobytes()) == (other.dtype, other.shape, other.tobytes())


def test_what_is_packed_comes_back() -> None:
    flat, manifest = pack(GROUPS)
    assert flat.dtype == np.uint8
    assert flat.size == 4 * 7 + 8 * 3
    assert_same(unpack(flat, manifest), GROUPS)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z:]{1,3}", fullmatch=True),
        st.tuples(st.sampled_from(["f4", "f8", "f2", "u1"]), st.lists(st.integers(0, 3), max_size=3)),
        max_size=8,
    )
)
def test_arrays_of_any_names_and_shapes_come_back(form: dict[str, tuple[str, list[int]]]) -> None:
    arrays: Arrays = {name: np.full(shape, 0.1, kind) for name, (kind, shape) in form.items()}
    flat, manifest = pack({"weights": arrays})
    assert_same(unpack(flat, manifest), {"weights": arrays})
    assert shapes(manifest) == {"weights": {name: tuple(shape) for name, (_, shape) in form.items()}}


def test_what_comes_back_can_be_changed_and_changes_nothing_else() -> None:
    flat, manifest = pack(GROUPS)
    unpack(flat, manifest)["weights"]["shared"][()] = 9
    assert unpack(flat, manifest)["weights"]["shared"] == 1.5


def test_how_an_array_lay_in_memory_does_not_show() -> None:
    plain = np.arange(12, dtype=np.float32).reshape(3, 4)
    hidden = np.full((3, 8), 98765.4321, np.float32)
    hidden[:, ::2] = plain
    forms = [plain, np.asfortranarray(plain), hidden[:, ::2]]
    packed = {(bytes(flat), manifest) for flat, manifest in (pack({"w": {"a": form}}) for form in forms)}
    assert len(packed) == 1


def test_the_manifest_of_a_model_is_small() -> None:
    arrays: Arrays = {
        f"branches.{branch}.layers.{layer}.{kind}": np.zeros((64, 64), np.float32)
        for branch in ("rna", "protein", "cnv", "clinical")
        for layer in range(10)
        for kind in ("weight", "bias", "attention.query", "attention.key")
    }
    _, manifest = pack({"weights": arrays})
    assert len(manifest) < 600


@pytest.mark.parametrize(
    "arrays",
    [
        {"a": np.zeros(2, np.int64)},
        {"a": np.zeros(2, ">f4")},
        {"a": np.zeros(2, np.float32), "a.b": np.zeros(2, np.float32)},
        {"a.b": np.zeros(2, np.float32), "a": np.zeros(2, np.float32)},
    ],
    ids=["integers", "another byte order", "a name within a name", "a name around a name"],
)
def test_what_cannot_travel_is_not_packed(arrays: Any) -> None:
    with pytest.raises(ValueError):
        pack({"weights": arrays})


def written(told: Any) -> bytes:
    return zlib.compress(json.dumps(told).encode())


def manifest_of(tree: Any, values: bytes = b"\0" * 8) -> bytes:
    return written({"sha256": sha256(values).hexdigest(), "arrays": tree})


SPOILT: dict[str, bytes] = {
    "nothing": b"",
    "no compression": b'{"sha256": "", "arrays": {}}',
    "no JSON": zlib.compress(b"CANARY-8371"),
    "a list": written([]),
    "a key more": written({"sha256": "", "arrays": {}, "note": "CANARY-8371"}),
    "another digest": written({"sha256": "0" * 64, "arrays": {"weights": {"a": ["f4", 2]}}}),
    "something behind its end": manifest_of({"weights": {"a": ["f4", 2]}}) + b"CANARY-8371",
    "cut short": manifest_of({"weights": {"a": ["f4", 2]}})[:-1],
    "too few values": manifest_of({"weights": {"a": ["f4", 3]}}),
    "values of nobody": manifest_of({"weights": {"a": ["f4", 1]}}),
    "another dtype": manifest_of({"weights": {"a": ["i8", 1]}}),
    "an object's dtype": manifest_of({"weights": {"a": ["O", 1]}}),
    "no shape": manifest_of({"weights": {"a": 2}}),
    "a negative size": manifest_of({"weights": {"a": ["f4", -2, -1]}}),
    "a size that is no number": manifest_of({"weights": {"a": ["f4", "2"]}}),
    "a size that is a truth": manifest_of({"weights": {"a": ["f4", True, 2]}}),
    "a fraction": manifest_of({"weights": {"a": ["f4", 2.0]}}),
    "a huge size": manifest_of({"weights": {"a": ["f4", 10**30]}}),
    "nothing in a huge shape": manifest_of({"weights": {"a": ["f4", 0, *[10**9] * 9], "b": ["f4", 2]}}),
    "one name twice": manifest_of({"weights": {"a": {"b": ["f4", 1]}, "a.b": ["f4", 1]}}),
    "a deep tree": zlib.compress(
        b'{"sha256": "", "arrays": ' + b'{"a": ' * 10**5 + b"1" + b"}" * 10**5 + b"}"
    ),
    "many names that begin alike": manifest_of(
        {"weights": {"a" * 400_000: {f"{i}": ["f4"] for i in range(9000)}}}
    ),
    "dimensions of thousands of digits": manifest_of({"weights": {"a": ["f4", *[10**4000] * 200]}}),
    "a bomb": zlib.compress(b'{"sha256": "", "arrays": {"' + b"a" * 2 * LONGEST + b'": []}}'),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_manifest_gives_nothing_and_takes_little(case: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnpackError):
            unpack(np.zeros(8, np.uint8), SPOILT[case])
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda flat: flat[:-1],
        lambda flat: np.append(flat, np.uint8(0)),
        lambda flat: flat.view(np.uint32),
        lambda flat: flat.reshape(2, -1),
        lambda flat: flat ^ np.uint8(1),
    ],
    ids=["cut short", "longer", "another dtype", "another shape", "other values"],
)
def test_a_flat_array_that_is_not_the_manifests(change: Callable[[Any], Any]) -> None:
    flat, manifest = pack(GROUPS)
    with pytest.raises(UnpackError):
        unpack(change(flat), manifest)


def test_a_digest_follows_names_shapes_types_and_values_and_no_order_or_layout() -> None:
    arrays: Arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, dtype=np.float32)}
    digest = digest_of(arrays)
    assert digest == "f3722c68ce4a0b176fda6342021e0728377ed38dcb160725ccb7ab4a7004d092"
    assert digest_of(dict(reversed(arrays.items()))) == digest
    assert digest_of({**arrays, "a": np.asfortranarray(arrays["a"])}) == digest
    others = ({"a": arrays["b"], "b": arrays["a"]}, {**arrays, "a": arrays["a"].reshape(3, 2)})
    for other in (*others, {**arrays, "b": np.ones(2)}, {**arrays, "b": np.zeros(2, dtype=np.float32)}):
        assert digest_of(other) != digest
