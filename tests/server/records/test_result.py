import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from common.errors import MissingFileError, UnreadableFileError
from common.messages.packing import Arrays
from server.records.result import PREPROCESSING, WEIGHTS, TrainedModel, load_result, save_result


@pytest.fixture
def result() -> TrainedModel:
    preprocessing: Arrays = {
        "center:rna": np.array([0.5, -2.0], np.float32),
        "spread:rna": np.array([1.0, 3.0], np.float32),
        "cuts:os": np.array([10.0, 20.0], np.float32),
    }
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T  # not contiguous
    return TrainedModel({"heads.os.weight": transposed}, preprocessing)


def test_a_result_reads_back_bit_for_bit(result: TrainedModel, tmp_path: Path) -> None:
    save_result(tmp_path, result)
    read = load_result(tmp_path)
    assert np.array_equal(read.weights["heads.os.weight"], result.weights["heads.os.weight"])
    assert read.preprocessing.keys() == result.preprocessing.keys()
    for name, array in result.preprocessing.items():
        assert np.array_equal(read.preprocessing[name], array)


def test_a_failed_write_leaves_the_earlier_file(
    result: TrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_result(tmp_path, result)
    before = (tmp_path / WEIGHTS).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    changed = {name: array + 1 for name, array in result.weights.items()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as failed:
        save_result(tmp_path, replace(result, weights=changed))
    assert failed.value.errno == errno.ENOSPC
    assert (tmp_path / WEIGHTS).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((WEIGHTS, PREPROCESSING))


def test_missing_and_damaged_files_are_told_apart(result: TrainedModel, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        load_result(tmp_path)
    save_result(tmp_path, result)
    (tmp_path / WEIGHTS).write_bytes(b"half a file")
    with pytest.raises(UnreadableFileError) as damaged:
        load_result(tmp_path)
    assert damaged.value.where == str(tmp_path / WEIGHTS)
