from dataclasses import replace

import numpy as np
import pytest

from common.agreement import kinds
from common.agreement.agreement import PATIENTS
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant
from common.assessment.part import Sum, largest_question, members_of, parts_of, place_of, questions_of
from common.privacy.planning import with_privacy
from common.tasks.survival import SurvivalTask

SMALL = Federation(
    name="small",
    modalities=(Modality(name="clinical", node="clinical", columns=("age", "crp")),),
    tasks=(SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),),
    participants=(Participant(name="north"),),
)
PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6)


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = tuple(f"tests.common.assessment.counting_part:{name}" for name in ("COUNTING", "CALIBRATING"))
    monkeypatch.setitem(kinds._KINDS, PATIENTS, replace(kinds._KINDS[PATIENTS], assessment=parts))


def test_questions_have_one_order_and_a_part_without_any_is_not_asked() -> None:
    assert [part.name for part in parts_of(SMALL)] == ["counting"]
    calibrated = SMALL.changed({"training.calibration_fraction": "0.2"})
    asked = [(part.name, number) for part, number in questions_of(calibrated)]
    assert asked == [("counting", 0), ("counting", 1), ("calibrating", 0)]
    assert place_of(calibrated, "calibrating", 0) == 2
    with pytest.raises(ValueError, match="not in list"):
        place_of(SMALL, "calibrating", 0)


def test_nothing_is_asked_under_privacy() -> None:
    assert questions_of(with_privacy(SMALL, PRIVACY)) == ()


def test_members_are_known_whether_or_not_their_part_asks() -> None:
    assert [*members_of(SMALL)] == ["counting.json", "calibrating.json"]


def test_the_largest_question_counts_both_directions() -> None:
    nodes = len(SMALL.modalities[0].nodes)
    assert largest_question(SMALL) == 8 * (nodes + 1)
    assert Sum((3, 4)).size == 96


@pytest.mark.parametrize(
    ("limits", "array", "holds"),
    [
        (Sum((2,)), [0.0, 10.0], True),
        (Sum((2,)), [0.0, 10.000001], True),
        (Sum((2,)), [0.0, 10.1], False),
        (Sum((2,)), [-0.1, 10.0], False),
        (Sum((2,), -2.0, 3.0), [-20.0, 30.0], True),
        (Sum((2,), -2.0, 3.0), [-20.1, 30.0], False),
        (Sum((2,), 1.0, 2.0), [0.0, 20.0], True),
    ],
)
def test_sums_lie_between_what_patients_add_and_none_is_always_possible(
    limits: Sum, array: list[float], holds: bool
) -> None:
    assert limits.holds(np.array(array), 10) is holds
