from pathlib import Path

import numpy as np
import pytest

from common.errors import IntegrityError
from simulations.benchmarks.field.figures import RowFigures, paired_difference, summarise_row


def figures(row: str, seed: int, *scores: float | None) -> RowFigures:
    return RowFigures(
        cohort="c",
        row=row,
        seed=seed,
        folds=tuple(range(len(scores))),
        digests={},
        scores={"survival": {"c_index": scores}},
    )


def test_the_interval_holds_the_difference_and_grows_with_seeds_that_disagree() -> None:
    rng = np.random.default_rng(0)
    other = rng.normal(0.6, 0.05, (3, 5))
    agreeing = paired_difference(other + 0.02 + rng.normal(0, 0.001, (3, 5)), other)
    by_seed = paired_difference(other + 0.02 + np.array([[-0.03], [0.0], [0.03]]), other)
    assert agreeing.difference == pytest.approx(0.02, abs=0.001)
    assert by_seed.difference == pytest.approx(0.02)
    for paired in (agreeing, by_seed):
        assert paired.low is not None
        assert paired.high is not None
        assert paired.difference is not None
        assert paired.low < paired.difference < paired.high
    assert agreeing.low is not None
    assert agreeing.low > 0
    assert by_seed.low is not None
    assert by_seed.low < 0


def test_a_row_compared_with_itself_does_not_differ() -> None:
    grid = np.random.default_rng(0).random((3, 5))
    paired = paired_difference(grid, grid)
    assert (paired.difference, paired.low, paired.high) == (0, 0, 0)


def test_one_pair_has_no_interval_and_undefined_figures_no_difference() -> None:
    assert paired_difference(np.array([[0.7]]), np.array([[0.6]])).low is None
    nothing = paired_difference(np.full((2, 2), np.nan), np.ones((2, 2)))
    assert nothing.difference is None
    some = paired_difference(np.array([[0.7, np.nan]]), np.array([[0.6, 0.5]]))
    assert some.difference == pytest.approx(0.1)


def test_deviations_are_over_seeds_of_means_over_folds() -> None:
    ours = [figures("ours", 0, 0.6, 0.8), figures("ours", 1, 0.7, None)]
    summary = summarise_row("Ours", ours, ours, {"survival": "c_index"})
    metric = summary.metrics["survival"]["c_index"]
    assert metric.by_seed == pytest.approx((0.7, 0.7))
    assert metric.mean == pytest.approx(0.7)
    assert metric.sd == pytest.approx(0, abs=1e-12)
    assert summary.paired["survival"].difference == 0
    assert summarise_row("Other", ours, [], {"survival": "c_index"}).paired == {}


def test_a_damaged_file_is_refused_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "ours-seed0.json"
    assert RowFigures.read(path) is None
    figures("ours", 0, 0.6).write(path)
    assert RowFigures.read(path) == figures("ours", 0, 0.6).model_copy(
        update={"date": RowFigures.read(path).date}  # type: ignore[union-attr]
    )
    path.write_text("{}")
    with pytest.raises(IntegrityError):
        RowFigures.read(path)
