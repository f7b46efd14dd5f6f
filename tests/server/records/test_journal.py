from pathlib import Path

import pytest

from common.errors import UnreadableFileError
from server.records.dropped import Dropped, DropReason
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord, read_journal

RUN = RunRecord(status="started", federation="four", digest="ab" * 32, strategy="fedavg", fold=-1, seed=0)
ROUND = RoundRecord(
    kind="train",
    round=1,
    seconds=0.5,
    validation_loss=0.25,
    scores={"os": 0.5},
    sites={"east": SiteRecord(patients={"patients": 3.0}, metrics={"validation_loss": 1.0})},
    dropped=(Dropped(node=2**63 + 5, reason=DropReason.REFUSED, code="internal"),),
    applied=True,
)


def test_each_record_is_on_disk_before_the_next(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        assert len(read_journal(tmp_path)) == 1
        journal.write(ROUND)
        assert read_journal(tmp_path)[1] == ROUND


def test_a_line_that_is_being_written_is_no_record_yet_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
    path = tmp_path / "journal.jsonl"
    whole = path.read_text()
    path.write_text(whole + ROUND.model_dump_json()[:40])
    assert len(read_journal(tmp_path)) == 1
    path.write_text(whole[:40] + "\n" + whole)
    with pytest.raises(UnreadableFileError) as damaged:
        read_journal(tmp_path)
    assert damaged.value.where.startswith(str(path))


def test_a_second_run_in_the_folder_appends(tmp_path: Path) -> None:
    for status in ("completed", "failed"):
        with Journal(tmp_path) as journal:
            journal.write(RUN.model_copy(update={"status": status}))
    first, second = read_journal(tmp_path)
    assert isinstance(first, RunRecord)
    assert isinstance(second, RunRecord)
    assert (first.status, second.status) == ("completed", "failed")
    assert first.at.endswith("+00:00")
