"""Table and warning of the parts of a network, over folds."""

from collections.abc import Callable

import pytest

from common.models.activity import Activity, BranchActivity
from simulations.report.words.activity import activity_table, idle_warning
from simulations.results.schema import FoldActivity, SimulationResult

MakeResult = Callable[..., SimulationResult]


def activity(
    active: float = 1.0, share: float | None = 0.2, network: float | None = 0.5, edges: float = 0.05
) -> Activity:
    rna = BranchActivity(active=active, share={"survival": share}, gradient=1.0)
    rna = rna.model_copy(update={"edges": {"survival": edges}})
    other = BranchActivity(active=0.9, share={"survival": 0.1}, gradient=2.0)
    return Activity(
        branches={"rna": rna, "protein": other}, network={"survival": network}, gradients={"heads": 1.0}
    )


def of(make_result: MakeResult, *folds: FoldActivity | None) -> SimulationResult:
    result = make_result(folds=len(folds))
    changed = (
        fold.model_copy(update={"activity": added}) for fold, added in zip(result.folds, folds, strict=True)
    )
    return result.model_copy(update={"folds": tuple(changed)})


def test_a_model_without_parts_has_neither(make_result: MakeResult) -> None:
    assert activity_table(of(make_result, None, None)) is None
    assert idle_warning(of(make_result, None, None)) is None


def test_figures_are_means_over_folds(make_result: MakeResult) -> None:
    first = activity(share=None, network=None)
    folds = [FoldActivity(initial=first, kept=activity(share=share)) for share in (0.2, 0.4)]
    table = activity_table(of(make_result, *folds))
    assert table is not None
    assert [row[0] for row in (*table.rows, table.total)] == ["rna", "protein", "heads", "whole network"]
    assert table.rows[0] == ("rna", "100.0%", "100.0%", "30.0%", "5.0%", "1", "1")
    assert table.total[3] == "50.0%"
    assert {len(row) for row in (table.heads, *table.rows, table.total)} == {7}
    assert idle_warning(of(make_result, *folds)) is None


@pytest.mark.parametrize("when", ["initial", "kept"])
def test_a_branch_below_a_floor_in_some_folds_is_warned_of_with_its_lowest_figure(
    make_result: MakeResult, when: str
) -> None:
    alive = FoldActivity(initial=activity(), kept=activity())
    dead = [alive.model_copy(update={when: activity(active=share)}) for share in (0.04, 0.02)]
    warning = idle_warning(of(make_result, alive, *dead))
    assert warning is not None
    assert warning.code == "idle"
    assert ("first weights" in warning.text) == (when == "initial")
    for words in ("rna", "2.0%", "2 of 3"):
        assert words in warning.text
    assert "protein" not in warning.text


def test_edges_without_effect_are_warned_of(make_result: MakeResult) -> None:
    idle = idle_warning(of(make_result, FoldActivity(initial=activity(), kept=activity(edges=0.002))))
    assert idle is not None
    assert "0.20%" in idle.text
    assert "edges" in idle.text
