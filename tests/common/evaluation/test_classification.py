import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import binary_auroc

from common.evaluation.classification import class_scores, mean_auroc, ranking_scores


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=40))
@settings(deadline=None, max_examples=50)
def test_counted_pairs_give_torchmetrics_auroc_ties_included(patients: list[tuple[bool, int]]) -> None:
    has = np.array([outcome for outcome, _ in patients])
    probability = np.array([step / 6 for _, step in patients])
    found = mean_auroc([(has, probability)])
    if has.all() or not has.any():
        assert np.isnan(found)
    else:
        expected = binary_auroc(torch.from_numpy(probability), torch.from_numpy(has).long())
        assert found == pytest.approx(float(expected), abs=1e-6)


def test_outcomes_that_all_or_none_have_do_not_count() -> None:
    both, none = np.array([True, False, True]), np.zeros(3, dtype=bool)
    probability = np.array([0.9, 0.5, 0.2])
    assert mean_auroc([(both, probability), (none, probability)]) == 0.5
    assert ranking_scores(iter([(both, probability), (none, probability)]))["auroc"] == 0.5


def test_a_probability_that_is_no_number_leaves_no_area() -> None:
    has = np.array([True, False, True])
    assert np.isnan(mean_auroc([(has, np.array([0.9, np.nan, 0.2])), (has, np.array([0.9, 0.5, 0.2]))]))


def test_two_classes_are_judged_by_the_second() -> None:
    chances = np.array([0.1, 0.4, 0.35, 0.8])
    scores = class_scores(np.array([0, 0, 1, 1]), np.stack([1 - chances, chances], axis=1))
    assert scores["auroc"] == 0.75
    assert scores["accuracy"] == 0.75
