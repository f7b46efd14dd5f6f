"""Checks of the app's own replies, spoilt on their way to the gate."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flwr.app import RecordDict

from client.egress.expected import BlockReason
from tests.client.egress.gate_case import CANARY, NUMBER, assert_quiet, exchange, private
from tests.packed import arrays_of, changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


NAME = "heads.response.weight"


def _extra_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][CANARY] = np.zeros(3, dtype=np.float32)


def _renamed_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][CANARY] = arrays["weights"].pop(NAME)


def _missing_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"].pop(NAME)


def _longer_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        longer = np.append(arrays["weights"][NAME], np.float32(NUMBER))
        arrays["weights"][NAME] = longer.astype(np.float32)


def _wide_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][NAME] = arrays["weights"][NAME].astype(np.float64)


def _not_a_number(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][NAME].flat[0] = np.nan


def _extra_metric(record: RecordDict) -> None:
    record.metric_records["metrics"][CANARY] = NUMBER


def _infinite_metric(record: RecordDict) -> None:
    record.metric_records["metrics"]["training_loss"] = math.inf


def _few_validated(record: RecordDict) -> None:
    record.metric_records["metrics"]["validation_patients"] = 1.0


def _half_a_metric(record: RecordDict) -> None:
    record.metric_records["metrics"].pop("validation_loss")


def _few_patients(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.toxicity"] = 1.0


def _part_of_a_patient(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.toxicity"] = 5.5


def _unknown_group(record: RecordDict) -> None:
    record.metric_records["patients"][CANARY] = 5.0


def _nobody(record: RecordDict) -> None:
    record.metric_records["patients"]["patients"] = 0.0


def _other_site(record: RecordDict) -> None:
    record.config_records["header"]["site"] = CANARY


def _other_round(record: RecordDict) -> None:
    record.config_records["header"]["round"] = 8371


def _untrained_but_changed(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.response"] = 0.0


SPOILT = {
    _extra_array: BlockReason.ARRAY_NAMES,
    _renamed_array: BlockReason.ARRAY_NAMES,
    _missing_array: BlockReason.ARRAY_NAMES,
    _longer_array: BlockReason.ARRAY_FORM,
    _wide_array: BlockReason.ARRAY_FORM,
    _not_a_number: BlockReason.NOT_FINITE,
    _extra_metric: BlockReason.METRICS,
    _infinite_metric: BlockReason.NOT_FINITE,
    _few_validated: BlockReason.COUNT,
    _half_a_metric: BlockReason.METRICS,
    _few_patients: BlockReason.COUNT,
    _part_of_a_patient: BlockReason.COUNT,
    _unknown_group: BlockReason.METRICS,
    _nobody: BlockReason.COUNT,
    _other_site: BlockReason.WRONG_SITE,
    _other_round: BlockReason.WRONG_ROUND,
    _untrained_but_changed: BlockReason.UNTRAINED_CHANGED,
}


def test_a_reply_with_anything_else_in_it_is_held_back(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    for spoil, reason in SPOILT.items():
        content = asked.content()
        spoil(content)
        assert asked.blocked(content) == reason, spoil.__name__
        assert_quiet(asked.check(content))
    assert asked.check().outcome == "passed"


def test_an_update_beyond_the_policys_norm_stays(hospital: "Hospital") -> None:
    norm = exchange(hospital, "train").check().update_norm
    assert norm is not None
    assert norm > 0
    assert exchange(hospital, "train", maximum_update_norm=norm / 2).blocked() == BlockReason.UPDATE_NORM
    assert exchange(hospital, "train", maximum_update_norm=norm * 2).check().outcome == "passed"


def test_the_norm_is_that_of_the_difference(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    before, after = (arrays_of(part.content)["weights"] for part in (asked.request, asked.reply))
    flat = [(after[name].astype(float) - before[name]).ravel() for name in after]
    assert asked.check().update_norm == pytest.approx(np.linalg.norm(np.concatenate(flat)))


def test_pairs_of_few_patients_are_not_told(hospital: "Hospital") -> None:
    asked = exchange(hospital, "evaluate")
    content = asked.content()
    metrics = content.metric_records["metrics"]
    metrics["concordant:response"], metrics["comparable:response"] = 1.0, 1.0
    verdict = asked.check(content)
    assert (verdict.outcome, verdict.suppressed) == ("passed", ("response",))
    sent = verdict.message.content.metric_records["metrics"]
    assert (sent["concordant:response"], sent["comparable:response"]) == (0.0, 0.0)


def _moment(content: RecordDict, row: int, column: int, number: float) -> None:
    name = "modality:clinical"
    with changing(content) as arrays:
        arrays["moments"][name][row, column] = number


@pytest.mark.parametrize(
    ("row", "column", "number"),
    [(0, 0, 1.0), (0, 0, 7.5), (0, 0, 1e6), (0, 0, -1.0), (2, 0, -1.0), (0, 0, 0.0)],
)
def test_sums_over_few_patients_stay(hospital: "Hospital", row: int, column: int, number: float) -> None:
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    _moment(content, row, column, number)
    assert asked.blocked(content) == BlockReason.COUNT


def test_a_category_with_one_patient_stays(hospital: "Hospital") -> None:
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    for row in (1, 2):
        _moment(content, row, 2, 1.0)
    assert asked.blocked(content) == BlockReason.COUNT


def test_statistics_of_too_few_or_miscounted_stay(hospital: "Hospital") -> None:
    asked = exchange(hospital, "query.statistics")
    few = asked.content()
    few.config_records["header"]["patients"] = 1
    assert asked.blocked(few) == BlockReason.COUNT
    miscounted = asked.content()
    miscounted.metric_records["withheld"]["modality:clinical"] = 3.0
    assert asked.blocked(miscounted) == BlockReason.METRICS


@pytest.mark.parametrize("statistics", ["declared", "noised"])
def test_under_privacy_no_number_of_patients_leaves(hospital: "Hospital", statistics: str) -> None:
    private(hospital, statistics=statistics)
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    content.config_records["header"]["patients"] = 12
    assert asked.blocked(content) == BlockReason.COUNT
    asked = exchange(hospital, "train")
    content = asked.content()
    content.metric_records["patients"]["patients"] = 12.0
    assert asked.blocked(content) == BlockReason.COUNT
    content = asked.content()
    content.metric_records["metrics"]["training_loss"] = NUMBER
    assert asked.blocked(content) == BlockReason.METRICS


def test_under_privacy_what_is_not_trained_stays_as_it_was(hospital: "Hospital") -> None:
    private(hospital, learn="linear")
    asked = exchange(hospital, "train")
    assert asked.check().outcome == "passed"
    content = asked.content()
    with changing(content) as arrays:
        arrays["weights"][NAME].flat[0] += 1
    assert asked.blocked(content) == BlockReason.UNTRAINED_CHANGED
