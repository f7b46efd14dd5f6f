"""Tables, figures and files of a result."""

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import consilium
from common.errors import InputError
from simulations.results.schema import SimulationResult as Record
from tests.simulations.conftest import made_up_private, made_up_result


@pytest.fixture
def made_up() -> consilium.Result:
    return consilium.Result(made_up_result(sites=4, rounds=5))


def test_tables_hold_the_figures_of_the_record(made_up: consilium.Result) -> None:
    record = made_up.record
    summary = record.tasks["response"]["pooled"]["auroc"]
    row = made_up.table().xs(("response", "pooled", "auroc"))
    assert (row["mean"], row["sd"], row["low"]) == (summary.mean, summary.sd, summary.interval[0])
    assert row["federated_minus_arm"] == record.paired["response"]["pooled"].difference
    folds = made_up.folds().xs(("response", "pooled", "auroc"), level=(0, 1, 2))
    assert folds["value"].tolist() == list(summary.per_fold)
    assert len(made_up.sites()) == 4 * len(made_up.tasks)
    assert made_up.hospitals()["patients"].sum() == sum(each.patients for each in record.hospitals.values())
    assert made_up.history().loc[(2, 5), "validation_loss"] == record.history[1][4].validation_loss
    assert made_up.private().empty


def test_private_runs_have_a_table_with_what_they_spent() -> None:
    private = consilium.Result(made_up_private(8.0, 1.0)).private()
    assert private.loc[(8.0, "response", "auroc"), "spent"] == pytest.approx(7.99)


@pytest.mark.parametrize("make", [made_up_result, lambda: made_up_private(8.0)])
def test_figures_are_matplotlibs(make: Callable[[], Record]) -> None:
    result = consilium.Result(make())
    figures = result.figures()
    assert {"learning", "arms", "hospitals"} <= figures.keys()
    assert ("epsilon" in figures) == bool(result.record.privacy)
    assert all(isinstance(figure, Figure) for figure in figures.values())
    with pytest.raises(InputError):
        result.figures("nothing")


def test_a_simulation_of_this_process_has_curves_and_one_from_a_file_has_none(
    finished: tuple[consilium.Result, Path],
) -> None:
    result, out = finished
    assert "calibration" in result.figures("survival")
    assert "calibration" not in consilium.Result.read(out / "result.json").figures("survival")
    assert result.is_complete
    assert "2 folds" in repr(result)
    assert "<table" in result._repr_html_()


def test_a_result_is_written_and_read(made_up: consilium.Result, tmp_path: Path) -> None:
    made_up.to_json(tmp_path / "result.json")
    assert consilium.Result.read(tmp_path).record == made_up.record
    (tmp_path / "result.json").write_text("{}")
    for place in (tmp_path, tmp_path / "other.json"):
        with pytest.raises(InputError):
            consilium.Result.read(place)
