import numpy as np
import pytest
from safetensors.numpy import load, save

from common.release.stamp import arrays_of, stamp_of, stamped

ARRAYS = {"b": np.arange(5, dtype=np.float32), "a": np.ones((2, 3), np.float32)}
STAMP = {"version": "lung-1", "federation": "f" * 64, "x": "1", "y": "2", "z": "3"}


def test_metadata_are_added_and_replaced_and_the_arrays_stay() -> None:
    content = stamped(stamped(save(ARRAYS), {"version": "lung-0"}), STAMP)
    assert stamp_of(content) == STAMP
    assert stamp_of(save(ARRAYS)) == {}
    assert all(np.array_equal(array, ARRAYS[name]) for name, array in load(content).items())
    assert arrays_of(content).keys() == ARRAYS.keys()


def test_the_same_arrays_and_metadata_give_the_same_bytes() -> None:
    assert (
        len(
            {stamped(save(ARRAYS), dict(reversed(STAMP.items()))) for _ in range(5)}
            | {stamped(save(ARRAYS), STAMP)}
        )
        == 1
    )


@pytest.mark.parametrize(
    "content", [b"", b"short", b"\xff" * 40, b"\x02" + b"\0" * 7 + b"[]", save(ARRAYS)[:-1]]
)
def test_what_is_no_safetensors_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError):
        arrays_of(content)
