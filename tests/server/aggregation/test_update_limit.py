"""Changes of weights beyond what training can do are refused, whatever a hospital tells of its size."""

from typing import Any

import numpy as np
import pytest

from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.reach import local_reach
from common.agreement.settings import Participant
from common.privacy.planning import with_privacy
from server.aggregation.replies import UnusableReplyError
from server.aggregation.update_limit import RESIDUAL, UpdateLimit
from server.records.dropped import DropReason

SENT = {"a": np.array([0.5, -2.0], np.float32), "b": np.zeros((0,), np.float32)}
PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=10)


def sized(federation: Federation, patients: int | None) -> Federation:
    parts = tuple(Participant(name=name, patients=patients) for name in ("one", "two", "three"))
    return federation.model_copy(update={"participants": parts})


def is_refused(federation: Federation, moved: float, number: int = 1, **enrolled: int) -> bool:
    limit = UpdateLimit(federation, number, SENT, {"one": 100, "two": 100, "three": 100} | enrolled)
    weights = {name: (array + moved).astype(np.float32) for name, array in SENT.items()}
    try:
        limit.check("one", weights)
    except UnusableReplyError as refused:
        return refused.reason is DropReason.UPDATE_IMPLAUSIBLE
    return False


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("private", [False, True])
def test_the_limit_is_what_training_on_the_declared_patients_can_do(
    federation: Federation, sign: int, private: bool
) -> None:
    agreed = sized(with_privacy(federation, PRIVACY) if private else federation, 100)
    most = local_reach(agreed, 1, 100, 2.0)
    assert not is_refused(agreed, sign * most * 0.999)
    assert is_refused(agreed, sign * most * 1.01)
    assert is_refused(agreed, sign * 3e38)


@pytest.mark.parametrize("size", [None, 100])
def test_a_hospital_does_not_widen_its_limit_by_its_word(federation: Federation, size: int | None) -> None:
    agreed = sized(federation, size)
    most = local_reach(agreed, 1, 300, 2.0)
    assert is_refused(agreed, most * 1.01, one=10**12)


def test_an_encoded_change_may_make_up_for_earlier_rounds(federation: Federation) -> None:
    changes: dict[str, Any] = {"wire.update": "top-k", "wire.share": "0.1"}
    encoded = sized(federation, 100).changed(changes)
    whole = sum(local_reach(encoded, number, 100, 2.0) for number in (1, 2, 3))
    assert not is_refused(encoded, whole, number=3)
    assert is_refused(encoded, whole * RESIDUAL * 1.01, number=3)
    assert is_refused(sized(federation, 100), whole, number=3)


def test_the_limit_under_privacy_without_declared_sizes_is_the_plan_ten_times(federation: Federation) -> None:
    agreed = with_privacy(sized(federation, None), PRIVACY)
    assert not is_refused(agreed, local_reach(agreed, 1, 200, 2.0), one=1)
    assert is_refused(agreed, local_reach(agreed, 1, 210, 2.0), one=1)
