import numpy as np
import pytest

from common.comparison.form import ValueForm
from common.comparison.quantity import LEAST, locations


def sums(values: np.ndarray) -> np.ndarray:
    return np.array([[len(values)], [values.sum()], [np.square(values).sum()]], dtype=np.float64)


@pytest.mark.parametrize("factor", [0.1, 12.0, 365.25])
def test_another_unit_shifts_a_location_by_the_logarithm_of_its_factor(factor: float) -> None:
    values = np.random.default_rng(0).lognormal(5, 0.5, 400)
    for form, read in (
        (ValueForm.RATIO, lambda x: x),
        (ValueForm.INTERVAL, lambda x: x - 100),
        (ValueForm.LOGARITHM, np.log1p),
    ):
        scale = factor if form is not ValueForm.INTERVAL else 1.0
        before, _ = locations(sums(read(values)), form)
        again = read(values * scale) if form is not ValueForm.INTERVAL else read(values) * factor
        after, _ = locations(sums(again), form)
        assert after[0] - before[0] == pytest.approx(np.log(factor), abs=0.1)


def test_the_variance_is_that_of_many_samples() -> None:
    rng = np.random.default_rng(1)
    places = [locations(sums(rng.lognormal(3, 0.4, 50)), ValueForm.RATIO) for _ in range(400)]
    spread = np.var([location[0] for location, _ in places])
    assert spread < np.mean([variance[0] for _, variance in places]) < 4 * spread


def test_few_patients_and_values_without_a_logarithm_have_no_location() -> None:
    few = np.full(int(LEAST) - 1, 3.0)
    assert np.isnan(locations(sums(few), ValueForm.RATIO)[0][0])
    assert np.isnan(locations(sums(np.zeros(20)), ValueForm.RATIO)[0][0])
    assert np.isnan(locations(sums(np.full(20, 3.0)), ValueForm.INTERVAL)[0][0])
    assert np.isnan(locations(sums(np.arange(20.0)), ValueForm.NONE)[0][0])
    assert np.isnan(locations(np.zeros((3, 1)), ValueForm.LOGARITHM)[0][0])
