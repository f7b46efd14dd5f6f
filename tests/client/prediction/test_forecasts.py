from client.prediction.forecast import PatientForecast
from client.prediction.forecasts import Forecasts


def test_model_use_and_warnings_stand_before_every_number() -> None:
    patient = PatientForecast(patient="p", observed={"clinical": 1.0}, tasks={})
    made = Forecasts(version="lung-1", federation="ab" * 32, warnings=("look",), patients=(patient,))
    first, warning, empty, *_ = made.lines()
    assert "lung-1" in first
    assert "research use" in first
    assert "Calibrated at this hospital: no" in first
    assert (warning, empty) == ("WARNING look", "")
