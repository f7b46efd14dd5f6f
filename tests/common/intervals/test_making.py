import numpy as np

from common.intervals.making import table_of
from common.intervals.shapes import STEPS
from tests.common.calibration.made_up import RESPONSE, Array


def answer(patients: float, events: float, mass: float) -> dict[str, Array]:
    sums = {"patients": patients, "least": 5.0, "events": events}
    steps = np.full((1, STEPS), mass / STEPS)
    return {f"response.{name}": np.array([value]) for name, value in sums.items()} | {"response.steps": steps}


def test_few_patients_are_refused_with_their_number() -> None:
    made = table_of([RESPONSE], {"here": answer(7, 7, 7)}).tasks["response"]["class"]
    assert (made.pooled, made.events, made.needed) == ((), 7, 10)
    assert made.at("here") == ()


def test_numbers_that_no_patients_have_are_left_out() -> None:
    honest = {"here": answer(50, 50, 50)}
    table = table_of([RESPONSE], honest)
    for liar in (answer(10, 11, 11), answer(100, 100, 1), answer(3, 3, 3)):
        assert table_of([RESPONSE], honest | {"liar": liar}) == table
