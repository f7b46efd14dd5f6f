from pathlib import Path

import pytest

from common.errors import StateError, UnreadableFileError
from server.records import history as history_module
from server.records.dropped import Dropped, DropReason
from server.records.history import RunHistory, first_and_last
from server.records.journal import (
    FILE_NAME,
    AssessmentRecord,
    Journal,
    RoundFigures,
    RoundRecord,
    RunRecord,
    SiteRecord,
)

RUN = RunRecord(
    status="started", federation="f", digest="d", strategy="fedavg", fold=-1, seed=0, sites=("a", "b")
)


def exchange(number: int, *dropped: str, kind: str = "train") -> RoundRecord:
    sites = {site: SiteRecord(metrics={"train_loss": 1 / number}, sha256=f"{site}{number}") for site in "ab"}
    return RoundRecord.model_validate(
        {
            "kind": kind,
            "round": number,
            "seconds": 1.0,
            "training_loss": 1 / number,
            "sites": {site: reply for site, reply in sites.items() if site not in dropped},
            "dropped": tuple(Dropped(site=site, reason=DropReason.NO_REPLY) for site in dropped),
            "applied": True,
        }
    )


def test_a_journal_that_grows_is_read_on_from_where_it_ended(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    assert not history.read()
    assert (history.last, history.rounds) == (None, [])
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        journal.write(exchange(1, "b"))
        history.read()
        assert (history.trained, list(history.absences())) == (1, ["b"])
        with (tmp_path / FILE_NAME).open("a") as file:  # a line that is being written
            line = exchange(2).model_dump_json()
            file.write(line[:40])
            file.flush()
            history.read()
            assert history.trained == 1
            file.write(line[40:] + "\n")
        journal.write(exchange(3, "a", "b"))
        journal.write(exchange(4, kind="evaluate"))
        journal.write(AssessmentRecord(part="calibration", number=0, seconds=1.0))
        journal.write(RUN.model_copy(update={"status": "completed"}))
    history.read()
    assert [record.round for record in history.rounds] == [1, 2, 3, 4]
    absences = history.absences()
    assert (history.trained, absences["a"].number, absences["b"].number) == (3, 1, 2)
    assert (absences["b"].last.round, absences["b"].dropped.reason) == (3, DropReason.NO_REPLY)
    assert (history.last and history.last.status, len(history.runs), len(history.assessment)) == (
        "completed",
        2,
        1,
    )
    assert history.round_record(1) == exchange(2)
    with pytest.raises(StateError):
        history.round_record(9)


def test_a_long_journal_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_CHUNK", 50)
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        for number in range(1, 9):
            journal.write(exchange(number))
    history, whole = RunHistory(tmp_path), RunHistory(tmp_path)
    whole.read()
    looks = 0
    while history.read(most=1):
        looks += 1
    assert looks > 3
    assert history.rounds == whole.rounds


def test_another_journal_in_its_place_is_read_from_its_start(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        journal.write(exchange(1, "b"))
    history = RunHistory(tmp_path)
    history.read()
    (tmp_path / FILE_NAME).rename(tmp_path / "earlier")
    with Journal(tmp_path) as journal:
        journal.write(RUN)
    history.read()
    assert (history.rounds, history.trained, history.absences()) == ([], 0, {})
    assert history.last is not None


def test_a_damaged_line_is_an_error_and_what_came_before_it_stays(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        journal.write(exchange(1))
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"record":"round"}\n')
    history = RunHistory(tmp_path)
    for _ in range(2):
        with pytest.raises(UnreadableFileError):
            history.read()
    assert history.trained == 1


def test_exchanges_that_come_again_count_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        for number in (1, 2, 3):
            journal.write(exchange(number, "a"))
        journal.write(RUN)
        journal.write(exchange(2))
    history = RunHistory(tmp_path)
    history.read()
    assert ([record.round for record in history.rounds], history.trained) == ([1, 2], 2)
    assert (history.absences()["a"].number, history.round_record(1)) == (1, exchange(2))


def test_the_ends_of_a_journal_are_read_without_its_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "_TAIL", 8)
    assert first_and_last(tmp_path) == (None, None)
    with Journal(tmp_path) as journal:
        journal.write(RUN)
        first, last = first_and_last(tmp_path)
        assert first == last
        assert first is not None
        for number in range(1, 9):
            journal.write(exchange(number))
        first, last = first_and_last(tmp_path)
        assert (first is not None, last) == (True, RoundFigures(**exchange(8).model_dump()))
        journal.write(AssessmentRecord(part="calibration", number=0, seconds=1.0))
        with (tmp_path / FILE_NAME).open("a") as file:
            file.write('{"record":')
        assert first_and_last(tmp_path)[1] == last
    (tmp_path / FILE_NAME).write_text('{"record":"run"}\n')
    with pytest.raises(UnreadableFileError):
        first_and_last(tmp_path)
