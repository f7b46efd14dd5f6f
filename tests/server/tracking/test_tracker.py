from pathlib import Path

import pytest

from server.home.places import CoordinatorHome
from server.tracking import tracker as tracking
from server.tracking.tracker import Tracker, read_tracking
from tests.server.dashboard.recorded import SITES, coordinator, exchange, record, start, write
from tests.server.tracking.kept import KeptFigures


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return coordinator(tmp_path / "home")


def rounds(sink: KeptFigures, figure: str) -> list[int]:
    return [point.round for point in sink.points if figure in point.figures]


def test_a_run_is_sent_as_it_goes_and_nothing_twice(home: CoordinatorHome) -> None:
    out, sink, said = start(home, "1"), KeptFigures(), list[str]()
    for number in (1, 2):
        write(out, exchange(number, *(["north"] if number == 2 else [])))
        assert Tracker(home, [sink], False, said.append).send(out)
    write(out, exchange(3, kind="evaluate"), record("completed", rounds=2, best_round=1, best_loss=0.5))
    tracker = Tracker(home, [sink], False, said.append)
    assert tracker.send(out)
    assert tracker.send(out)
    assert rounds(sink, "training_loss") == [1, 2]
    assert rounds(sink, "validation_loss") == [0, 1, 2]
    assert [point.figures["hospitals"] for point in sink.points if "hospitals" in point.figures] == [2.0, 1.0]
    assert (sink.points[-1].round, sink.points[-1].figures) == (
        1,
        {"kept_round": 1.0, "kept_validation_loss": 0.5},
    )
    assert (sink.begun, sink.ends, sink.files, said) == ([None], ["completed"], [], [])
    assert sink.runs[0].parameters["training.rounds"] == "30"
    assert sink.runs[0].tags["consilium.digest"] == "d" * 64
    assert read_tracking(out).sinks["Kept"].logged == 3


def test_hospitals_are_named_only_if_the_coordinator_says_so(home: CoordinatorHome) -> None:
    out = start(home, "1")
    write(out, exchange(1, "north"), record("completed", rounds=1, best_round=1))
    silent, telling = KeptFigures(), KeptFigures()
    assert Tracker(home, [silent], False, print).send(out)
    (out / tracking.FILE_NAME).unlink()
    assert Tracker(home, [telling], True, print).send(out)
    assert not any(site in repr(silent.points) + repr(silent.runs) for site in SITES[:2])
    (point,) = [point for point in telling.points if "hospital/east" in point.figures]
    assert (point.figures["hospital/east"], point.figures["hospital/north"]) == (1.0, 0.0)
    assert (silent.files, telling.files) == ([], ["federation.toml"])


def test_a_resumed_run_goes_on_where_the_sink_has_it(home: CoordinatorHome) -> None:
    out, sink = start(home, "1", ended="interrupted"), KeptFigures()
    write(out, exchange(1))
    assert Tracker(home, [sink], False, print).send(out)
    assert sink.ends == ["interrupted"]
    submission = (out / "run.json").read_text()
    (out / "run.json").write_text(submission.replace('"interrupted"', "null"))
    write(out, record("started"), exchange(2), record("completed", rounds=2, best_round=2))
    assert Tracker(home, [sink], False, print).send(out)
    assert sink.begun == [None, "kept 1"]
    assert (rounds(sink, "training_loss"), sink.ends) == ([1, 2], ["interrupted", "completed"])


def test_a_sink_that_fails_is_said_once_and_tried_again(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = start(home, "1"), start(home, "2")
    write(out, exchange(1))
    write(other, exchange(1))
    sink, sound, said = KeptFigures(), KeptFigures(), list[str]()
    sound.name = "Sound"  # type: ignore[misc]
    sink.failure = ConnectionError("token=secret")
    tracker = Tracker(home, [sink, sound], False, said.append)
    for _ in range(3):
        assert not tracker.send(out)
        assert not tracker.send(other)
    assert rounds(sound, "training_loss") == [1, 1]
    assert len(said) == 1
    assert "secret" not in said[0]
    sink.failure = None
    assert not tracker.send(out)  # not before its time
    monkeypatch.setattr("time.monotonic", lambda: 1e12)
    assert tracker.send(out)
    assert (len(said), rounds(sink, "training_loss")) == (2, [1])
