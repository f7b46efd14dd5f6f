from pathlib import Path

import pytest

from common.errors import IntegrityError
from simulations.experiment.finished_runs import FINISHED, is_sealed, open_run, seal_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that has ended."""
    (tmp_path / "journal.jsonl").write_bytes(b"{}\n")
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    (tmp_path / "state").mkdir()
    seal_run(tmp_path)
    return tmp_path


def test_a_run_is_sealed_until_it_is_opened(run: Path) -> None:
    assert is_sealed(run)
    open_run(run)
    assert not is_sealed(run)
    open_run(run)


def test_a_changed_missing_or_added_file_is_refused(run: Path) -> None:
    for name in ("journal.jsonl", "weights.safetensors", FINISHED):
        before = (run / name).read_bytes()
        for position in range(len(before)):
            changed = bytearray(before)
            changed[position] ^= 1
            (run / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                is_sealed(run)
        (run / name).write_bytes(before)
    (run / "other").write_bytes(b"")
    with pytest.raises(IntegrityError):
        is_sealed(run)
    (run / "other").unlink()
    (run / "weights.safetensors").unlink()
    with pytest.raises(IntegrityError):
        is_sealed(run)
