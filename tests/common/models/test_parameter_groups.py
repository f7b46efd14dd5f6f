"""Averaging groups and weights: who stands behind a group, and what may be learnt."""

from collections.abc import Callable

import pytest
import torch

from common.agreement.privacy_settings import Privacy
from common.models.parameter_groups import (
    AveragingWeights,
    Counted,
    ModelGroups,
    ParameterGroup,
    counted,
)
from common.patients.batch import PatientBatch

SHARED = ParameterGroup.SHARED
RNA = ParameterGroup("branches.rna", "rna")
HEAD = ParameterGroup("heads.response", None, "response")
SCORE = ParameterGroup("branches.rna.scores.response", "rna", "response")
GROUPS = ModelGroups(
    {"body": SHARED, "rna": RNA, "head.weight": HEAD, "head.bias": HEAD, "score": SCORE},
    frozenset({"head.bias", "score"}),
    (SHARED, HEAD, RNA, SCORE),
)


def privacy(learn: str) -> Privacy:
    return Privacy.model_validate(
        {"noise_multiplier": 1.0, "sampling_rate": 0.5, "expected_batch_size": 4, "learn": learn}
    )


def test_patients_count_for_a_group_if_they_have_its_modality_and_a_label_of_its_task(
    make_batch: Callable[..., PatientBatch],
) -> None:
    batch = make_batch(40)
    has, known = batch.observed["rna"].any(1), batch.labelled["response"].any(1)
    behind = GROUPS.patients_behind(batch)
    assert behind.counts is Counted.UNITS
    assert list(behind.by_group) == [SHARED, HEAD, RNA, SCORE]
    assert [behind[group] for group in GROUPS.groups] == [
        40,
        int(known.sum()),
        int(has.sum()),
        int((has & known).sum()),
    ]
    assert 0 < behind[SCORE] < min(behind[HEAD], behind[RNA])
    assert GROUPS.patients_behind(batch.select(torch.arange(0))).shared == 0


def test_a_hospital_counts_as_one_and_not_for_what_it_has_no_table_of() -> None:
    behind = GROUPS.hospitals_behind(frozenset({"rna"}))
    assert behind.counts is Counted.HOSPITALS
    assert behind.to_numbers() == {
        "patients": 1.0,
        "heads.response": 1.0,
        "branches.rna": 0.0,
        "branches.rna.scores.response": 0.0,
    }


@pytest.mark.parametrize(
    ("terms", "absent", "learnable"),
    [
        (None, set(), {"body", "rna", "head.weight", "head.bias", "score"}),
        (privacy("all"), set(), {"body", "rna", "head.weight", "head.bias", "score"}),
        (privacy("all"), {"rna"}, {"body", "head.weight", "head.bias"}),
        (privacy("linear"), set(), {"head.bias", "score"}),
        (privacy("linear"), {"rna"}, {"head.bias"}),
    ],
)
def test_private_training_learns_what_the_terms_and_the_tables_allow(
    terms: Privacy | None, absent: set[str], learnable: set[str]
) -> None:
    assert GROUPS.learnable(terms, frozenset(absent)) == learnable


def test_groups_of_few_patients_weigh_nothing() -> None:
    weights = AveragingWeights({SHARED: 12.0, RNA: 4.0, HEAD: 5.0}, Counted.UNITS).without_few(5)
    assert weights == AveragingWeights({SHARED: 12.0, RNA: 0.0, HEAD: 5.0}, Counted.UNITS)


@pytest.mark.parametrize("terms", [None, privacy("all")])
def test_numbers_of_a_message_are_read_back_in_the_order_of_the_groups(terms: Privacy | None) -> None:
    weights = AveragingWeights({SHARED: 12.0, RNA: 4.0}, counted(terms))
    assert weights.to_numbers() == {"patients": 12.0, "branches.rna": 4.0}
    again = AveragingWeights.from_numbers(weights.to_numbers(), (RNA, SHARED, HEAD), counted(terms))
    assert list(again.by_group.items()) == [(RNA, 4.0), (SHARED, 12.0), (HEAD, 0.0)]
    assert again.counts is (Counted.UNITS if terms is None else Counted.HOSPITALS)
