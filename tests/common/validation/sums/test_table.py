"""Table of a release: equal to pooled patients where it is exact, and near them elsewhere."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from common.evaluation.pairs import concordance_pairs
from common.validation.net_benefit import net_benefit
from common.validation.observed import Array, Outcomes
from common.validation.sums.part import PART
from common.validation.sums.shapes import RISKS
from common.validation.sums.table import ValidationTable, table_of
from tests.common.validation.cohort import HORIZON, Made, made
from tests.common.validation.sums.test_computing import FEDERATION, RESPONSE, SURVIVAL, sums_for

HOSPITALS = [made(400, seed) for seed in range(6)]
EDGES = np.array([0.15, 0.25])


def site(patients: Made) -> dict[str, Array]:
    return {
        f"{task.name}.{name}": array
        for task in (SURVIVAL, RESPONSE)
        for name, array in sums_for(task, patients, EDGES).items()
    }


def together(name: str) -> Array:
    return np.concatenate([getattr(hospital, name) for hospital in HOSPITALS])


@pytest.fixture(scope="module")
def table() -> ValidationTable:
    made_table = table_of(
        FEDERATION, {f"h{number}": site(patients) for number, patients in enumerate(HOSPITALS)}
    )
    assert made_table is not None
    return ValidationTable.of_content(made_table.content(), "here")


def test_a_class_has_the_figures_of_all_patients(table: ValidationTable) -> None:
    (outcome,) = table.tasks["response"]
    (by,) = outcome.horizons
    had, risk = together("had"), together("risk")
    assert (by.patients, by.events) == (2400, had.sum())
    assert by.ratio.value == pytest.approx(had.mean() / risk.mean())
    assert by.brier == pytest.approx(((had - risk) ** 2).mean())
    assert by.null == pytest.approx(had.mean() * (1 - had.mean()))
    first = by.hospitals["h0"]
    assert first.brier == pytest.approx(((HOSPITALS[0].had - HOSPITALS[0].risk) ** 2).mean())
    assert first.ratio.value == pytest.approx(HOSPITALS[0].had.mean() / HOSPITALS[0].risk.mean())
    assert sum(cell.patients for cell in outcome.cells) == 2400
    whole = [
        decision
        for decision in outcome.decisions
        if all(
            sums_for(RESPONSE, hospital)["cells"][0, RISKS.index(decision.threshold), 0] > 0
            for hospital in HOSPITALS
        )
    ]
    assert whole
    for decision in whole:
        exact = net_benefit(Outcomes.without_time(had > 0), risk, decision.threshold)
        assert decision.model.value == pytest.approx(exact)
        assert decision.everyone is not None
        assert decision.above_everyone.value == pytest.approx(exact - decision.everyone)


def test_a_time_to_an_event_is_near_the_figures_of_all_patients(table: ValidationTable) -> None:
    (outcome,) = table.tasks["survival"]
    main = next(by for by in outcome.horizons if by.horizon == HORIZON)
    time, event, risk = together("time"), together("event"), together("risk")
    fitter = KaplanMeierFitter().fit(time, event)
    assert main.observed.value == pytest.approx(1 - fitter.predict(HORIZON), abs=0.005)
    assert main.followed is not None
    assert main.followed.value == pytest.approx(1.5, abs=0.1)
    assert main.between is not None
    low, high = main.between.predicted
    assert main.ratio.value is not None
    assert low < main.ratio.value < high
    for decision in outcome.decisions:
        exact = net_benefit(Outcomes(time, event > 0, HORIZON), risk, decision.threshold)
        assert decision.model.value == pytest.approx(exact, abs=0.02)
    pairs = [concordance_pairs(h.time, h.event, h.risk) for h in HOSPITALS]
    exact = sum(pair.concordant for pair in pairs) / sum(pair.comparable for pair in pairs)
    assert outcome.concordance.value == pytest.approx(exact)
    worst = outcome.worst()
    assert worst is not None
    assert worst[1] == min(one.value for one in outcome.concordances.values() if one.value is not None)
    women = next(group for group in outcome.groups if group.name == "f")
    assert women.hospitals == 6
    assert women.patients == 1200


def test_curves_of_thirds_are_near_those_of_lifelines(table: ValidationTable) -> None:
    (outcome,) = table.tasks["survival"]
    time, event, risk = together("time"), together("event"), together("risk")
    assert len(outcome.thirds) == 3
    for curve in outcome.thirds:
        rows = (risk >= curve.above) & (risk < curve.below)
        fitter = KaplanMeierFitter().fit(time[rows], event[rows])
        exact = fitter.predict(list(curve.times)).to_numpy()
        assert np.abs(np.array(curve.survival) - exact).max() < 0.04


def test_hospitals_with_too_few_patients_are_left_out() -> None:
    large, small = site(HOSPITALS[0]), site(made(8))
    made_table = table_of(FEDERATION, {"large": large, "small": small})
    assert made_table is not None
    for outcomes in made_table.tasks.values():
        assert set(outcomes[0].patients) == {"large"}
        assert outcomes[0].between is None
    assert table_of(FEDERATION, {"small": small}) is None


def test_two_lines_say_how_an_outcome_was_predicted(table: ValidationTable) -> None:
    lines = list(table.lines())
    assert len(lines) == 4
    assert "2,400 held-out patients of 6 hospitals" in lines[0]


def test_edges_of_thirds_are_near_thirds_of_all_hospitals() -> None:
    from common.assessment.part import SiteSums

    sites = {
        f"h{number}": SiteSums(400, {"survival.histogram": sums_for(SURVIVAL, patients)["cells"][0, :, 0]})
        for number, patients in enumerate(HOSPITALS)
    }
    low, high = PART.next(FEDERATION, sites, 0)["survival.edges"]
    risk = together("risk")
    assert 0.15 < (risk < low).mean() < 0.5
    assert 0.5 < (risk < high).mean() < 0.85
    nothing = {"h": SiteSums(400, {"survival.histogram": np.zeros(len(RISKS) + 1)})}
    assert not PART.next(FEDERATION, nothing, 0)["survival.edges"].any()
