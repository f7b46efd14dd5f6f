from pathlib import Path

from server.dashboard.curves import MOST_POINTS, curves, thinned
from server.records.history import RunHistory
from tests.server.dashboard.recorded import coordinator, exchange, start, write


def test_many_points_keep_their_extremes_and_their_end() -> None:
    points = [(float(at), 1.0) for at in range(10_000)]
    points[1234], points[8765] = (1234.0, 9.0), (8765.0, -9.0)
    kept = thinned(points)
    assert len(kept) <= MOST_POINTS + 1
    assert {points[1234], points[8765]} < set(kept)
    assert kept[-1] == points[-1]
    assert kept == sorted(kept)
    assert thinned(points[:10]) == points[:10]


def test_figures_that_are_none_or_not_finite_are_not_drawn(tmp_path: Path) -> None:
    out = start(coordinator(tmp_path / "home"), "1")
    history = RunHistory(out)
    assert curves(history, None) == ""
    write(
        out,
        exchange(1, training_loss=None, validation_loss=float("inf"), concordance={}),
        exchange(2, validation_loss=None, concordance={}),
    )
    history.read()
    drawn = curves(history, None)
    assert "nan" not in drawn
    assert "inf" not in drawn
    assert "Training loss: 1 in round 2" in drawn
