import numpy as np
import pytest

from common.comparison.form import Subject, ValueForm
from common.comparison.hospitals import LIMITS, differences, far
from common.comparison.quantity import Quantity

COLUMN = Quantity("clinical", "size", "mm", ("modality:clinical",), (0,), ValueForm.RATIO)
TIME = Quantity(
    "outcomes", "t", "months", ("survival:os", "rest:os"), (0,), ValueForm.LOGARITHM, Subject.TIME
)


def sums(values: np.ndarray) -> np.ndarray:
    return np.array([[len(values)], [values.sum()], [np.square(values).sum()]])


def hospitals(*factors: float, patients: int = 40, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return {
        f"h{number}": {"modality:clinical": sums(rng.lognormal(3.2, 0.4, patients) * factor)}
        for number, factor in enumerate(factors)
    }


@pytest.mark.parametrize("factor", [0.1, 10.0, 1 / 2.54, 2.54, 1000.0])
@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_one_of_three_hospitals_with_another_unit_is_named(factor: float, wrong: int) -> None:
    factors = [1.0, 1.0, 1.0]
    factors[wrong] = factor
    (difference,) = differences(hospitals(*factors), [COLUMN])
    assert difference.sites == (f"h{wrong}",)
    assert difference.ratio == pytest.approx(factor, rel=0.3)


def test_years_for_months_are_found_in_the_follow_up_of_a_hospital_without_events() -> None:
    rng = np.random.default_rng(3)

    def site(factor: float, events: int) -> dict[str, np.ndarray]:
        time = np.log1p(rng.lognormal(3.3, 0.7, 60) * factor)
        of_events = np.zeros((3, 1)) if events == 0 else sums(time[:events])
        return {"survival:os": of_events, "rest:os": sums(time[events:])}

    sites = {"a": site(1, 20), "b": site(1, 30), "c": site(1 / 12, 0)}
    (difference,) = differences(sites, [TIME])
    assert difference.sites == ("c",)
    assert 1 / 20 < difference.ratio < 1 / 6


def test_two_hospitals_that_differ_are_both_named_and_neither_is_accused() -> None:
    (difference,) = differences(hospitals(1.0, 0.1), [COLUMN])
    assert difference.sites == ("h1", "h0")
    (difference,) = differences(hospitals(1.0, 0.1, 0.001), [COLUMN])
    assert difference.sites == ("h2", "h1", "h0")
    (difference,) = differences(hospitals(1.0, 0.1, 1.0, 0.1), [COLUMN])
    assert set(difference.sites) == {"h0", "h1", "h2", "h3"}


def test_two_wrong_hospitals_of_seven_are_each_named() -> None:
    named = differences(hospitals(1, 1, 0.1, 1, 1, 0.1, 1), [COLUMN])
    assert {difference.sites for difference in named} == {("h2",), ("h5",)}


def test_honest_hospitals_are_hardly_ever_named() -> None:
    limits, rng = LIMITS[Subject.COLUMN], np.random.default_rng(5)
    alarms = tests = 0
    for _ in range(400):
        number = int(rng.integers(2, 12))
        location = rng.normal(0, rng.uniform(0, 0.2), number)
        alarms += len(far(location, np.full(number, 0.001), limits))
        tests += number
    assert alarms / tests < 0.01


def test_a_hospital_far_from_widely_scattered_ones_is_not_named() -> None:
    scattered = np.array([0.0, 1.2, -1.4, 0.8, -0.7, 2.0])
    assert far(scattered, np.full(6, 0.01), LIMITS[Subject.COLUMN]) == []


def test_a_hospital_with_few_patients_is_not_compared_and_noise_hides_a_difference() -> None:
    sites = hospitals(1, 1, 0.3)
    assert len(differences(sites, [COLUMN])) == 1
    assert differences(sites, [COLUMN], {"modality:clinical": np.array([300.0])}) == []
    sites["h2"]["modality:clinical"] = np.zeros((3, 1))
    assert differences(sites, [COLUMN]) == []


def test_a_large_table_is_compared_as_a_whole() -> None:
    rng = np.random.default_rng(7)
    table = Quantity("rna", "", "", ("modality:rna",), tuple(range(200)), ValueForm.INTERVAL)

    def site(factor: float) -> dict[str, np.ndarray]:
        values = rng.normal(0, 1, (40, 200)) * factor
        return {"modality:rna": np.stack([np.full(200, 40.0), values.sum(0), np.square(values).sum(0)])}

    assert differences({name: site(1.0) for name in "abc"}, [table]) == []
    (difference,) = differences({"a": site(1.0), "b": site(8.0), "c": site(1.0)}, [table])
    assert difference.sites == ("b",)
