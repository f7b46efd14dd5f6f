from collections.abc import Callable

import numpy as np
import pytest

from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.agreement.settings import Training
from common.assessment.part import SiteSums, Whose, parts_of
from common.assessment.patient_view import PatientView
from common.assessment.view import View
from common.intervals.part import PART
from common.models.graphs import Prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.release.interval_table import IntervalTable

MakeView = Callable[[int, int], PatientView]


@pytest.fixture
def calibrating(make_federation: Callable[..., Federation]) -> Federation:
    return make_federation(training=Training(rounds=3, batch_size=4, calibration_fraction=0.2))


@pytest.fixture
def make_view(
    calibrating: Federation,
    prior: Prior,
    preprocessing: Preprocessing,
    make_batch: Callable[..., PatientBatch],
) -> MakeView:
    model = initial_model(calibrating, prior, 0).eval()
    network = Network(calibrating, preprocessing, {}, model, public=prior)

    def make(patients: int, seed: int) -> PatientView:
        return View(network, make_batch(patients, seed), 5, lambda model, some: logits(model, some))

    return make


def test_nothing_is_asked_without_patients_who_chose_nothing(
    federation: Federation, calibrating: Federation
) -> None:
    assert PART.whose is Whose.CALIBRATION
    assert (PART.questions(federation), PART.questions(calibrating)) == (0, 2)
    assert PART.name not in [part.name for part in parts_of(federation)]
    assert PART.name in [part.name for part in parts_of(calibrating)]


def test_two_questions_give_the_member_of_every_task(calibrating: Federation, make_view: MakeView) -> None:
    views = {f"hospital {seed}": make_view(120, seed) for seed in range(3)}
    asked: dict[str, np.typing.NDArray[np.float64]] = {}
    sites: dict[str, SiteSums] = {}
    for number in range(2):
        expected = PART.asked(calibrating, number)
        assert expected.keys() == asked.keys()
        assert all(expected[name].fits(array) for name, array in asked.items())
        limits = PART.sums(calibrating, number)
        for name, view in views.items():
            sums = dict(PART.computed(view, asked, number))
            assert {key: values.shape for key, values in sums.items()} == {
                key: limit.shape for key, limit in limits.items()
            }
            assert all((sums[key] <= 120 * limit.high).all() for key, limit in limits.items())
            sites[name] = SiteSums(120, sums)
        if number == 0:
            asked = dict(PART.next(calibrating, sites, 0))
    assert (asked["survival.hazard"] > 0).all()
    content = PART.content(calibrating, sites)
    assert content is not None
    table = IntervalTable.read(content)
    assert table is not None
    assert table.tasks.keys() == {"survival", "response", "toxicity"}
    for outcomes in table.tasks.values():
        for made in outcomes.values():
            assert len(made.pooled) == 2
            assert made.pooled[0] >= made.pooled[1]


def test_nobody_who_answers_is_a_table_without_intervals(calibrating: Federation) -> None:
    assert not PART.next(calibrating, {}, 0)["survival.hazard"].any()
    table = IntervalTable.read(PART.content(calibrating, {}) or b"")
    assert table is not None
    assert table.tasks["survival"]["event"].pooled == ()
