import pytest

from client.prediction.forecast import OutcomeForecast, PatientForecast, SurvivalForecast


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (0.004, "<1%"), (0.012, "1%"), (0.456, "46%"), (0.991, ">99%"), (1.0, "100%")],
)
def test_shares_are_written_in_whole_percent_and_never_as_certain(share: float, text: str) -> None:
    assert OutcomeForecast(probability={"yes": share}).line() == f"yes {text}"


def test_an_identifier_commands_no_terminal() -> None:
    patient = PatientForecast(patient="\x1b[2Jp", observed={"clinical": 1.0}, tasks={})
    assert "\x1b" not in "".join(patient.lines())


def test_a_patients_lines_say_what_was_not_measured_and_by_when() -> None:
    curve = SurvivalForecast(
        unit="months", times=(12.0, 60.0), survival=(0.9, 0.7), risk={"12": 0.1}, median=None
    )
    patient = PatientForecast(patient="p", observed={"clinical": 1.0, "rna": 0.0}, tasks={"survival": curve})
    first, measured, survival = patient.lines()
    assert "p" in first
    assert "not measured: rna" in measured
    assert "10% by 12 months" in survival
    assert "60 months" in survival
    assert "median time 11 months" in curve.model_copy(update={"median": 11.0}).line()
