"""Calibration and intervals of forecasts at a hospital, a stranger, and without tables."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from client.data.unlabelled import UnlabelledPatients
from client.prediction.forecast import OutcomeForecast, SurvivalForecast
from client.prediction.forecasts import Forecasts
from client.prediction.patients.predictor import forecasts
from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.release.interval_table import IntervalTable, OutcomeIntervals


def row(level: float, observed: float | None = 9.0) -> LevelRow:
    return LevelRow(level=level, error=0.2, patients=60, observed=observed, before=30.0, after=40.0)


SURVIVAL = OutcomeCalibration(
    events=49, pooled=row(0.3, 49.0), hospitals={"north": row(0.6), "small": row(0.4, None)}
)
CALIBRATION = CalibrationTable(
    tasks={
        "survival": {"event": SURVIVAL},
        "response": {name: OutcomeCalibration(events=11) for name in ("no", "partial", "yes")},
        "toxicity": {
            "rash": OutcomeCalibration(events=40, pooled=row(1.0), hospitals={"north": row(1.0)}),
            "nausea": OutcomeCalibration(events=5),
        },
    }
)
INTERVALS = IntervalTable(
    tasks={
        "survival": {
            "event": OutcomeIntervals(
                patients=90, events=40, pooled=(0.3, 0.2), hospitals={"north": (0.5, 0.4)}
            )
        },
        "response": {"class": OutcomeIntervals(patients=90, events=90, pooled=(0.35, 0.0))},
        "toxicity": {
            "rash": OutcomeIntervals(patients=90, events=90, pooled=(0.6, 0.0)),
            "nausea": OutcomeIntervals(patients=90, events=90, pooled=(0.6, 0.0)),
        },
    }
)


@pytest.fixture
def made(
    federation: Federation,
    prior: Prior,
    preprocessing: Preprocessing,
    make_batch: Callable[..., PatientBatch],
) -> Callable[..., Forecasts]:
    batch = make_batch()
    seen = {name: torch.ones_like(mask) for name, mask in batch.observed.items()}
    patients = UnlabelledPatients(tuple("abcdef"), PatientBatch(batch.values, seen, {}, {}), ())
    model = initial_model(federation, prior, 0).eval()
    network = Network(federation, preprocessing, {}, model, public=prior)

    def make(
        hospital: str,
        calibration: CalibrationTable | None = CALIBRATION,
        intervals: IntervalTable | None = INTERVALS,
    ) -> Forecasts:
        whole = replace(network, calibration=calibration, intervals=intervals)
        return forecasts(whole, patients, [2.0, 6.0], "table", hospital=hospital)

    return make


def survival(made: Forecasts, patient: int = 0) -> SurvivalForecast:
    task = made.patients[patient].tasks["survival"]
    assert isinstance(task, SurvivalForecast)
    return task


def test_a_hospital_has_its_level_and_the_order_of_patients_stays(made: Callable[..., Forecasts]) -> None:
    raw, north, stranger = made("north", None, None), made("north"), made("elsewhere")
    for patient in range(6):
        hazard = -np.log(survival(raw, patient).survival)
        for forecast, level in ((north, 0.6), (stranger, 0.3)):
            assert -np.log(survival(forecast, patient).survival) == pytest.approx(np.exp(level) * hazard)
    order = [[survival(forecast, patient).risk["6"] for patient in range(6)] for forecast in (raw, north)]
    assert np.argsort(order[0]).tolist() == np.argsort(order[1]).tolist()


def test_it_is_said_by_task_what_is_calibrated_here(made: Callable[..., Forecasts]) -> None:
    north, small, stranger = made("north"), made("small"), made("elsewhere")
    assert north.calibrated is False
    states = north.calibration
    assert (states["survival"].yes, states["survival"].here, states["survival"].events) == (True, 9, 49)
    assert (states["response"].yes, states["response"].events) == (False, 11)
    assert (states["toxicity"].yes, states["toxicity"].events) == (False, 5)
    assert (small.calibration["survival"].yes, small.calibration["survival"].here) == (True, None)
    assert stranger.calibration["survival"].yes is False
    line = north.lines()[0]
    assert "survival yes, on 49 events, 9 of them here" in line
    assert "response no, 11 events told and 30 are needed" in line
    assert Forecasts.model_validate_json(north.model_dump_json()) == north


def test_all_tasks_together_make_a_calibrated_model(made: Callable[..., Forecasts]) -> None:
    alone = CalibrationTable(tasks={"survival": {"event": SURVIVAL}})
    assert made("north", alone).calibrated
    assert not made("north", None).calibrated
    assert made("north", None).calibration == {}


def test_a_label_with_enough_events_moves_and_the_other_stays(made: Callable[..., Forecasts]) -> None:
    raw, north = (made("north", table, None).patients[0].tasks for table in (None, CALIBRATION))
    before, after = raw["toxicity"], north["toxicity"]
    assert isinstance(before, OutcomeForecast)
    assert isinstance(after, OutcomeForecast)
    odds = {name: share / (1 - share) for name, share in before.probability.items()}
    moved = {name: share / (1 - share) for name, share in after.probability.items()}
    assert moved["rash"] == pytest.approx(np.e * odds["rash"])
    assert moved["nausea"] == pytest.approx(odds["nausea"])
    assert raw["response"] == north["response"]


def test_the_risk_has_an_interval_and_time_a_bound(made: Callable[..., Forecasts]) -> None:
    north, stranger, raw = (
        survival(made("north")),
        survival(made("elsewhere")),
        survival(made("x", None, None)),
    )
    for horizon, risk in north.risk.items():
        low, high = north.risk_interval[horizon]
        assert low < risk < high
    assert raw.risk_interval == {}
    assert raw.bound == {}
    assert north.bound.keys() == {"80%", "90%"}
    assert north.bound["80%"] > north.bound["90%"] > 0
    assert north.bound["80%"] > stranger.bound["80%"]
    assert "in 90% of cases later than" in north.line()


def test_bounds_are_of_the_model_and_not_of_its_calibration(made: Callable[..., Forecasts]) -> None:
    assert survival(made("north", None)).bound == survival(made("north")).bound


def test_sets_hold_what_is_probable_enough(made: Callable[..., Forecasts]) -> None:
    tasks = made("north", None).patients[0].tasks
    response, toxicity = tasks["response"], tasks["toxicity"]
    assert isinstance(response, OutcomeForecast)
    assert isinstance(toxicity, OutcomeForecast)
    likeliest = max(response.probability, key=lambda name: response.probability[name])
    assert likeliest in response.possible["80%"]
    assert set(response.possible["90%"]) == {"no", "partial", "yes"}
    assert set(toxicity.possible["90%"]) == {"rash", "no rash", "nausea", "no nausea"}
    assert len(toxicity.possible["80%"]) == 2
