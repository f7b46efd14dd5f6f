import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.assessment.part import SiteSums, members_of, parts_of
from common.assessment.patient_view import PatientView
from common.assessment.view import View
from common.calibration.part import PART
from common.models.graphs import Prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.release.calibration_table import CalibrationTable

MakeView = Callable[[int, int], PatientView]


@pytest.fixture
def make_view(
    federation: Federation,
    prior: Prior,
    preprocessing: Preprocessing,
    make_batch: Callable[..., PatientBatch],
) -> MakeView:
    network = Network(federation, preprocessing, {}, initial_model(federation, prior, 0).eval(), public=prior)

    def make(patients: int, seed: int) -> PatientView:
        return View(network, make_batch(patients, seed), 5, lambda model, some: logits(model, some))

    return make


def test_every_answer_fits_the_shapes_and_limits_that_the_gate_reads(
    federation: Federation, make_view: MakeView
) -> None:
    limits = PART.sums(federation, 0)
    for patients in (5, 12, 40, 200):
        sums = PART.computed(make_view(patients, 0), {}, 0)
        assert sums.keys() == limits.keys()
        for name, limit in limits.items():
            assert sums[name].shape == limit.shape
            assert sums[name].dtype == np.float64
            assert (sums[name] >= min(0.0, patients * limit.low)).all()
            assert (sums[name] <= patients * limit.high).all()


def test_the_member_has_every_task_and_is_read_back(federation: Federation, make_view: MakeView) -> None:
    sites = {
        f"hospital {seed}": SiteSums(120, dict(PART.computed(make_view(120, seed), {}, 0)))
        for seed in range(3)
    }
    content = PART.content(federation, sites)
    assert content is not None
    assert PART.content(federation, dict(reversed(sites.items()))) == content
    table = CalibrationTable.read(content)
    assert table is not None
    assert table.tasks.keys() == {"survival", "response", "toxicity"}
    assert table.tasks["response"].keys() == {"no", "partial", "yes"}
    assert all(made.pooled for outcomes in table.tasks.values() for made in outcomes.values())


def test_no_answer_is_a_table_in_which_nothing_is_calibrated(federation: Federation) -> None:
    content = PART.content(federation, {})
    assert content is not None
    made = json.loads(content)["tasks"]["survival"]["event"]
    assert (made["events"], made["needed"], made["pooled"]) == (0, 30, None)


def test_one_patient_more_or_less_below_the_minimum_count_changes_nothing(make_view: MakeView) -> None:
    view = make_view(40, 1)
    for events in (0, 3, 4):
        labels = {name: values.clone() for name, values in view.patients.labels.items()}
        labels["survival"][:, 1] = (torch.arange(40) < events).float()
        batch = replace(view.patients, labels=labels)
        sums = PART.computed(replace(view, patients=batch), {}, 0)
        assert sums["survival.events"] == 0
        assert not sums["survival.evidence"].any()


def test_the_agreement_lists_the_part_and_privacy_silences_it(federation: Federation) -> None:
    assert members_of(federation)["calibration.json"].name == "calibration"
    assert PART.questions(federation) == 1
    private = federation.model_copy(
        update={"privacy": Privacy(noise_multiplier=1, sampling_rate=0.1, expected_batch_size=4)}
    )
    assert parts_of(private) == ()
