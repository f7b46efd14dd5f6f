"""Two results side by side."""

import pytest

import consilium
from tests.simulations.conftest import made_up_result


def test_differences_are_paired_where_the_same_patients_are_held_out() -> None:
    record = made_up_result(sites=3, folds=3)
    summary = record.tasks["response"]["federated"]["auroc"]
    higher = summary.model_copy(
        update={"per_fold": tuple((value or 0) + 0.1 * n for n, value in enumerate(summary.per_fold))}
    )
    arms = record.tasks["response"] | {"federated": record.tasks["response"]["federated"] | {"auroc": higher}}
    other = record.model_copy(update={"tasks": record.tasks | {"response": arms}})
    comparison = consilium.Result(other).compare(consilium.Result(record))
    row = comparison.table().xs(("response", "federated", "auroc"))
    assert comparison.is_paired
    assert row["difference"] == pytest.approx(0.1)
    assert (row["paired_sd"], row["folds"]) == (pytest.approx(0.1), 3)
    same = comparison.table().drop(index=("response", "federated", "auroc"))
    assert (same["difference"] == 0).all()


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 8},
        {"cohort": "another"},
        {"command": "consilium simulate x --fold 1"},
        {"folds": made_up_result(folds=1).folds},
    ],
)
def test_other_patients_are_not_paired_and_the_reason_is_given(change: dict[str, object]) -> None:
    record = made_up_result(sites=3)
    comparison = consilium.Result(record).compare(consilium.Result(record.model_copy(update=change)))
    assert not comparison.is_paired
    assert len(comparison.reasons) == 1
    assert "paired_sd" not in comparison.table()
    assert "Not paired" in comparison._repr_html_()
