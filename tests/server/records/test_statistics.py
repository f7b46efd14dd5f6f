"""Hospitals' sums in a run's folder."""

from pathlib import Path

import numpy as np
import pytest

from common.errors import UnreadableFileError
from server.records.statistics import FILE_NAME, read_statistics, write_statistics


def test_sums_come_back_as_they_were(tmp_path: Path) -> None:
    sums = {"north / west": {"modality:clinical": np.arange(6.0).reshape(3, 2)}, "south": {}}
    write_statistics(tmp_path, sums)
    read = read_statistics(tmp_path)
    assert [*read] == ["north / west"]
    assert np.array_equal(
        read["north / west"]["modality:clinical"], sums["north / west"]["modality:clinical"]
    )


def test_a_run_without_sums_has_no_file_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    write_statistics(tmp_path, {"north": {}})
    assert not (tmp_path / FILE_NAME).exists()
    assert read_statistics(tmp_path) == {}
    (tmp_path / FILE_NAME).write_bytes(b"x")
    with pytest.raises(UnreadableFileError):
        read_statistics(tmp_path)
