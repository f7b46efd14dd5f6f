from pathlib import Path
from typing import TYPE_CHECKING

from flwr.app import Error, Message, RecordDict

from server.records.progress import FILE_NAME, ProgressFile, read_progress

if TYPE_CHECKING:
    from tests.server.conftest import Bench


def reply_from(node: int) -> Message:
    request = Message(RecordDict(), node, "train")
    request.metadata.__dict__["_message_id"] = "request"
    return Message(RecordDict(), reply_to=request)


def test_a_run_that_asked_nobody_has_no_progress(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None


def test_a_file_that_a_power_cut_emptied_is_no_progress(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"")
    assert read_progress(tmp_path) is None


def test_who_was_asked_and_who_has_answered(bench: "Bench", tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path)
    progress.begin("train", 3, {7: "north", 8: "east"})
    told = read_progress(tmp_path)
    assert told is not None
    assert (told.kind, told.round, told.reported) == ("train", 3, {"east": None, "north": None})
    progress.heard(reply_from(7))
    now = read_progress(tmp_path)
    assert now is not None
    assert now.asked == told.asked
    assert now.reported["east"] is None
    assert now.reported["north"] is not None
    assert now.reported["north"] >= now.asked
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_the_next_exchange_replaces_the_one_before(bench: "Bench", tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path)
    progress.begin("statistics", 0, {7: "north"})
    progress.heard(reply_from(7))
    progress.begin("train", 1, {7: "north"})
    told = read_progress(tmp_path)
    assert told is not None
    assert (told.kind, told.round, told.reported) == ("train", 1, {"north": None})


def test_an_error_made_up_by_flower_counts_for_nobody(bench: "Bench", tmp_path: Path) -> None:
    progress = ProgressFile(tmp_path)
    progress.begin("train", 1, {7: "north"})
    request = Message(RecordDict(), 7, "train")
    request.metadata.__dict__["_message_id"] = "request"
    failed = Message(Error(5, "unavailable"), reply_to=request)
    failed.metadata.__dict__["_src_node_id"] = 1
    progress.heard(failed)
    told = read_progress(tmp_path)
    assert told is not None
    assert told.reported == {"north": None}


def test_an_answer_before_anything_was_asked_counts_for_nobody(bench: "Bench", tmp_path: Path) -> None:
    ProgressFile(tmp_path).heard(reply_from(7))
    assert read_progress(tmp_path) is None
