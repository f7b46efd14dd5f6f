import numpy as np
import pytest

from client.prediction.similar import similar_figures, similar_to
from common.errors import InputError
from common.evaluation.predictions import NumberPrediction, SurvivalPrediction
from common.prediction.network import Network
from common.validation.sums.shapes import horizons_asked, main_horizon
from common.validation.sums.table import table_of
from tests.common.validation.sums.test_computing import FEDERATION, SURVIVAL
from tests.common.validation.sums.test_table import HOSPITALS, site

TABLE = table_of(FEDERATION, {f"h{number}": site(patients) for number, patients in enumerate(HOSPITALS)})


def network(validation: bytes | None) -> Network:
    return Network(FEDERATION, None, {}, None, validation=validation)  # type: ignore[arg-type]


def curve(risk: float) -> SurvivalPrediction:
    """Prediction of one patient with a risk by the horizon of the thirds."""
    end = horizons_asked(SURVIVAL)[main_horizon(SURVIVAL)]
    return SurvivalPrediction(np.array([risk]), np.array([end]), np.array([[1 - risk]]))


def test_a_patient_is_beside_the_third_of_the_same_risk() -> None:
    assert TABLE is not None
    content = TABLE.content()
    thirds = TABLE.tasks[SURVIVAL.name][0].thirds
    for name, risk, third in zip(("lower", "middle", "upper"), (0.01, 0.2, 0.9), thirds, strict=True):
        similar = similar_to(network(content), SURVIVAL, curve(risk))
        assert similar is not None
        assert (similar.third, similar.patients, similar.survival) == (name, third.patients, third.survival)


def test_the_observed_risk_is_interpolated_and_ends_with_what_was_seen() -> None:
    assert TABLE is not None
    similar = similar_to(network(TABLE.content()), SURVIVAL, curve(0.2))
    assert similar is not None
    assert similar.risk(0.0) == 0.0
    assert similar.risk(similar.times[0]) == pytest.approx(1 - similar.survival[0])
    assert similar.risk(similar.times[-1] + 1) is None


def test_without_a_validation_or_a_time_nothing_is_similar() -> None:
    assert similar_to(network(None), SURVIVAL, curve(0.2)) is None
    assert similar_figures(network(None), SURVIVAL, NumberPrediction(np.array([1.0])), 0) == {}
    assert similar_figures(network(None), SURVIVAL, curve(0.2), 0) == {"similar": None}


def test_a_validation_of_another_form_is_refused() -> None:
    with pytest.raises(InputError):
        similar_to(network(b"{}"), SURVIVAL, curve(0.2))
