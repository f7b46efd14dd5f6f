from pathlib import Path

import pytest

from common.errors import DiskFullError, RefusalCode
from server.records.dropped import Dropped, DropReason
from server.records.journal import Journal, RoundRecord
from simulations.engines.room import require_room


def journal(folder: Path, code: RefusalCode) -> Path:
    """A journal of a round in which a hospital refused."""
    dropped = Dropped(site="north", node=1, reason=DropReason.REFUSED, code=code)
    with Journal(folder) as written:
        written.write(
            RoundRecord(kind="train", round=1, applied=False, seconds=1.0, sites={}, dropped=(dropped,))
        )
    return folder


def test_a_run_whose_hospital_had_no_room_is_explained_by_it(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError) as full:
        require_room(journal(tmp_path, RefusalCode.DISK_FULL))
    assert "TMPDIR" in full.value.remedy


def test_another_end_of_a_run_is_none_of_the_disk(tmp_path: Path) -> None:
    require_room(journal(tmp_path / "run", RefusalCode.TRAINING_DIVERGED))
    require_room(tmp_path / "nothing")
