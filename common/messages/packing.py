"""Named arrays packed as one flat array and a manifest of their names and shapes.

Flower moves every array of a message with separate requests: a model of 160 parameters costs 160 times as many
requests as one array. The manifest is compressed JSON: the SHA-256 of the flat array, and a tree of the names' dotted
parts with `[dtype, *shape]` at its leaves. The values lie in the flat array in the tree's order, little-endian and
without gaps.
"""

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32] | NDArray[np.float64] | NDArray[np.float16] | NDArray[np.uint8]]


LONGEST = 1 << 20
"""Most bytes of a manifest. A model of 1,000 arrays has some 50,000 before compression."""


DEEPEST, LONGEST_NAME = 8, 300
"""Most dimensions of an array and characters of its dotted name: a short manifest must not unfold into a long one."""


LARGEST = 1 << 31
"""Limit to the elements of an array, counting an empty dimension as one."""


_DTYPES: dict[Any, np.dtype[Any]] = {kind: np.dtype(f"<{kind}") for kind in ("f4", "f8", "f2", "u1")}


_Leaf = tuple[np.dtype[Any], tuple[int, ...]]


_KINDS = {dtype: kind for kind, dtype in _DTYPES.items()}


def digest_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of arrays with their names, shapes and types, in whatever order they come."""
    digest = sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


class UnpackError(Exception):
    """Manifest and flat array that `pack` did not make."""


def pack(groups: Mapping[str, Arrays]) -> tuple[NDArray[np.uint8], bytes]:
    """Pack groups of arrays as (values as bytes [B], manifest).

    Raises:
        ValueError: for a dtype that no message has (`_DTYPES`), or where the name of an array continues the name of
            another array after a dot.
    """
    tree: dict[str, Any] = {}
    for group, arrays in groups.items():
        top = tree[group] = {}
        for name, array in arrays.items():
            *parents, last = name.split(".")
            branch = top
            for parent in parents:
                branch = branch.setdefault(parent, {})
                if not isinstance(branch, dict):
                    raise ValueError("an array's name continues another's")
            if array.dtype not in _KINDS or last in branch:
                raise ValueError("an array that cannot travel")
            branch[last] = [_KINDS[array.dtype], *array.shape]
    ordered = [groups[group][name] for group in groups for name, _ in _leaves(tree[group])]
    values = b"".join(array.tobytes() for array in ordered)
    manifest = {"sha256": sha256(values).hexdigest(), "arrays": tree}
    return np.frombuffer(values, np.uint8), zlib.compress(
        json.dumps(manifest, separators=(",", ":")).encode(), 9
    )


def unpack(flat: NDArray[np.uint8], manifest: bytes) -> dict[str, Arrays]:
    """Split a flat array into groups of arrays, the inverse of `pack`; the arrays are copies.

    Raises:
        UnpackError: if these are not what `pack` makes.
    """
    digest, groups = _read(manifest)
    _require(flat.dtype == np.uint8 and flat.ndim == 1 and sha256(flat.data).hexdigest() == digest)
    unpacked: dict[str, Arrays] = {}
    offset = 0
    for group, leaves in groups.items():
        unpacked[group] = {}
        for name, (dtype, shape) in leaves.items():
            count = math.prod(shape)
            _require(offset + count * dtype.itemsize <= flat.size)
            unpacked[group][name] = np.frombuffer(flat, dtype, count, offset).reshape(shape).copy()
            offset += count * dtype.itemsize
    _require(offset == flat.size)
    return unpacked


def shapes(manifest: bytes) -> dict[str, dict[str, tuple[int, ...]]]:
    """Read the shapes of a manifest: group -> array -> shape.

    Raises:
        UnpackError: if `pack` does not make such a manifest.
    """
    _, groups = _read(manifest)
    return {group: {name: shape for name, (_, shape) in leaves.items()} for group, leaves in groups.items()}


def _read(manifest: bytes) -> tuple[str, dict[str, dict[str, _Leaf]]]:
    """(SHA-256 of the flat array, group -> array -> its dtype and shape)."""
    unzip = zlib.decompressobj()
    try:
        content = json.loads(unzip.decompress(manifest, LONGEST))
        _require(unzip.eof and not unzip.unused_data and set(content) == {"sha256", "arrays"})
        groups: dict[str, dict[str, _Leaf]] = {}
        for group, tree in content["arrays"].items():
            leaves = groups[group] = {}
            for name, (kind, *shape) in _leaves(tree):
                _require(name not in leaves and len(shape) <= DEEPEST)
                _require(all(type(size) is int and 0 <= size < LARGEST for size in shape))
                _require(math.prod(max(size, 1) for size in shape) < LARGEST)
                leaves[name] = _DTYPES[kind], (*shape,)
    except (zlib.error, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise UnpackError from None
    return content["sha256"], groups


def _leaves(tree: dict[str, Any], parent: str = "") -> Iterator[tuple[str, list[Any]]]:
    """(dotted name, leaf) of a tree, in its order."""
    for part, branch in tree.items():
        _require(len(parent) + len(part) <= LONGEST_NAME)
        if isinstance(branch, dict):
            yield from _leaves(branch, f"{parent}{part}.")
        else:
            yield f"{parent}{part}", branch


def _require(holds: bool) -> None:
    if not holds:
        raise UnpackError
