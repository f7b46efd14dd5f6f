from pathlib import Path

import pytest

from common.errors import IntegrityError, UnreadableFileError
from common.models.activity import Activity, BranchActivity
from server.records.dropped import Dropped, DropReason
from server.records.journal import (
    FILE_NAME,
    Journal,
    JournalMark,
    RoundRecord,
    RunRecord,
    SiteRecord,
    check_journal,
    read_journal,
)

RUN = RunRecord(status="started", federation="four", digest="ab" * 32, strategy="fedavg", fold=-1, seed=0)
ROUND = RoundRecord(
    kind="train",
    round=1,
    seconds=0.5,
    validation_loss=0.25,
    concordance={"os": 0.5},
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


def test_a_journal_is_known_by_its_mark_and_the_records_that_may_follow(tmp_path: Path) -> None:
    check_journal(tmp_path, JournalMark(), None)
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        mark = journal.mark()
        check_journal(tmp_path, mark, ROUND)
        journal.write(ROUND)
        check_journal(tmp_path, mark, ROUND)
        journal.write(RUN.model_copy(update={"status": "failed"}))
    check_journal(tmp_path, mark, ROUND)
    with Journal(tmp_path) as journal:
        assert journal.mark().size == (tmp_path / FILE_NAME).stat().st_size
        check_journal(tmp_path, journal.mark(), None)
    for other in (None, ROUND.model_copy(update={"round": 2})):
        with pytest.raises(IntegrityError):
            check_journal(tmp_path, mark, other)


def test_a_marked_journal_of_which_a_byte_differs_is_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        mark = journal.mark()
        journal.write(ROUND)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    for position in range(len(whole) - 1):  # without its end, the last line is one that was being written
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        with pytest.raises(IntegrityError):
            check_journal(tmp_path, mark, ROUND)
    path.unlink()
    with pytest.raises(IntegrityError):
        check_journal(tmp_path, mark, ROUND)


def test_the_closing_record_has_the_activity_of_the_kept_model(tmp_path: Path) -> None:
    branch = BranchActivity(active=0.25, share={"os": 1 / 3, "response": None}, gradient=1e-7)
    activity = Activity(branches={"rna": branch}, network={"os": 0.5}, gradients={"heads": 2.0})
    with Journal(tmp_path) as journal:
        mark = journal.mark()
        journal.write(RUN.model_copy(update={"status": "completed", "activity": activity}))
    (ended,) = read_journal(tmp_path)
    assert isinstance(ended, RunRecord)
    assert ended.activity == activity
    check_journal(tmp_path, mark, None)


def test_a_journal_from_before_activity_was_recorded_is_still_the_marked_one(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        mark = journal.mark()
        journal.write(RUN.model_copy(update={"status": "completed"}))
    assert "activity" not in (tmp_path / FILE_NAME).read_text()
    (ended,) = read_journal(tmp_path)
    assert isinstance(ended, RunRecord)
    assert ended.activity is None
    check_journal(tmp_path, mark, None)
