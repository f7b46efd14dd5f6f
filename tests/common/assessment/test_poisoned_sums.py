"""Sums within the gate's limits that no patients have: a member without NaN comes of them, or none."""

import json
import math
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.agreement.federation import Federation
from common.agreement.settings import Training
from common.assessment.part import AnyPart, SiteSums, Sum, members_of
from common.calibration.part import PART as CALIBRATION
from common.intervals.part import PART as INTERVALS
from common.release.calibration_table import CalibrationTable
from common.release.interval_table import IntervalTable
from common.structure.content import read_structure
from common.structure.part import PART as STRUCTURE
from common.validation.sums.part import PART as VALIDATION
from common.validation.sums.table import ValidationTable, table_of
from tests.common.structure import made as tables
from tests.common.validation.sums import test_table as validated
from tests.common.validation.sums.test_computing import FEDERATION

KINDS = ("zeros", "low", "high", "even", "whole", "some", "tiny", "few")


def poisoned(draw: np.random.Generator, limit: Sum, patients: int, kind: str) -> np.ndarray:
    """Draw sums that pass the gate."""
    low, high = min(0.0, patients * limit.low), max(0.0, patients * limit.high)
    even = draw.uniform(low, high, limit.shape)
    made = {
        "zeros": np.zeros(limit.shape),
        "low": np.full(limit.shape, low),
        "high": np.full(limit.shape, high),
        "even": even,
        "whole": np.floor(even),
        "some": np.where(draw.random(limit.shape) < 0.3, np.floor(even), 0.0),
        "tiny": np.where(draw.random(limit.shape) < 0.5, 5e-324, 0.0),
        "few": np.minimum(np.floor(draw.uniform(0, 9, limit.shape)), high),
    }[kind]
    return np.asarray(np.clip(made, low, high), dtype=np.float64)


def sites_of(
    part: AnyPart, agreement: Federation, number: int, seed: int, hospitals: int
) -> dict[str, SiteSums]:
    draw = np.random.default_rng(seed)
    sites = {}
    for hospital in range(hospitals):
        patients = int(draw.choice([0, 5, 12, 200, 10_000, 1_000_000]))
        sites[f"hospital {hospital}"] = SiteSums(
            patients,
            {
                name: poisoned(draw, limit, patients, str(draw.choice(KINDS)))
                for name, limit in part.sums(agreement, number).items()
            },
        )
    return sites


def no_constant(name: str) -> Any:
    raise AssertionError(name)


def read(part: AnyPart, content: bytes, agreement: Federation) -> None:
    """Read a member as a hospital does; no number of JSON is NaN or infinite."""
    if part.member == STRUCTURE.member:
        structure = read_structure(content, agreement, "here")
        assert not any(math.isnan(limit.look) or math.isnan(limit.withheld) for limit in structure.limits)
        return
    json.loads(content, parse_constant=no_constant)
    if part.member == VALIDATION.member:
        assert list(ValidationTable.of_content(content, "here").lines())
    else:
        assert (CalibrationTable if part.member == CALIBRATION.member else IntervalTable).read(
            content
        ) is not None


@pytest.fixture
def calibrating(make_federation: Callable[..., Federation]) -> Federation:
    return make_federation(training=Training(rounds=3, batch_size=4, calibration_fraction=0.2))


@pytest.mark.parametrize("part", [CALIBRATION, INTERVALS, VALIDATION, STRUCTURE], ids=lambda part: part.name)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(seed=st.integers(0, 2**32), hospitals=st.integers(0, 4))
def test_any_sums_within_limits_make_a_member_or_none(
    calibrating: Federation, part: AnyPart, seed: int, hospitals: int
) -> None:
    agreement = tables.federation() if part.member == STRUCTURE.member else calibrating
    assert part.member in members_of(agreement)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(part.questions(agreement) - 1):
            asked = part.next(agreement, sites_of(part, agreement, number, seed, hospitals), number)
            limits = part.asked(agreement, number + 1)
            assert limits.keys() == asked.keys()
            assert all(limits[name].fits(array) for name, array in asked.items())
        last = part.questions(agreement) - 1
        content = part.content(agreement, sites_of(part, agreement, last, seed, hospitals))
        if content is not None:
            read(part, content, agreement)


@cache
def honest_validation() -> dict[str, dict[str, np.ndarray]]:
    return {f"h{number}": validated.site(patients) for number, patients in enumerate(validated.HOSPITALS[:4])}


def spoil(
    draw: np.random.Generator, sums: dict[str, np.ndarray], limits: Mapping[str, Sum], patients: int
) -> None:
    """Put other numbers within the limits in the place of some honest ones."""
    for _ in range(draw.integers(1, 4)):
        name = str(draw.choice(sorted(sums)))
        flat, high = sums[name].reshape(-1), patients * limits[name].high
        number = float(draw.choice([0.0, 5e-324, 1.0, high, draw.uniform(0, high), draw.choice(flat)]))
        flat[slice(None) if draw.random() < 0.3 else draw.integers(len(flat))] = number


@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32))
def test_a_hospital_that_contradicts_itself_spoils_no_validation(seed: int) -> None:
    draw = np.random.default_rng(seed)
    limits = VALIDATION.sums(FEDERATION, 1)
    sites = {
        f"h{number}": validated.site(patients) for number, patients in enumerate(validated.HOSPITALS[:4])
    }
    spoil(draw, sites["h0"], limits, 400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = table_of(FEDERATION, sites)
        assert table is not None
        assert list(ValidationTable.of_content(table.content(), "here").lines())
        assert all(
            {"h1", "h2", "h3"} <= {*outcome.patients} for made in table.tasks.values() for outcome in made
        )


@pytest.mark.parametrize(
    ("name", "number"), [("survival.events", 401.0), ("response.pairs", 1e6), ("survival.third_edges", 0.3)]
)
def test_impossible_sums_of_a_hospital_are_left_out(name: str, number: float) -> None:
    sites = {f"h{index}": validated.site(patients) for index, patients in enumerate(validated.HOSPITALS[:3])}
    sites["h1"][name] = np.full_like(sites["h1"][name], number)
    table = table_of(FEDERATION, sites)
    assert table is not None
    (outcome,) = table.tasks[name.partition(".")[0]]
    assert {*outcome.patients} == {"h0", "h2"}
