"""Groups of patients that are judged apart, and the worst hospital by name."""

from collections.abc import Callable

from simulations.report.words.divisions import division_table, worst_hospital
from simulations.results.schema import GroupScores, SimulationResult

MakeResult = Callable[..., SimulationResult]


def divided(make_result: MakeResult, events: int | None = 7) -> SimulationResult:
    def group(score: float | None) -> GroupScores:
        return GroupScores(patients=20, events=events, scores={"federated": score}, interval=(0.31, 0.88))

    hospitals = {"north": group(0.7), "south": group(0.52), "west": group(None)}
    result = make_result(sites=4, tasks=("response",))
    divisions = {"response": {"hospital": hospitals, "sex": {"0": group(0.6), "1": group(0.65)}}}
    return result.model_copy(update={"divisions": divisions})


def test_the_worst_hospital_is_named_with_its_size_interval_and_the_spread(make_result: MakeResult) -> None:
    (worst,) = worst_hospital(divided(make_result), "response")
    assert worst.code == "worst-hospital"
    for words in ("2 hospitals", "south", "0.520", "0.310 to 0.880", "20", "7", "north", "0.700", "0.127"):
        assert words in worst.text
    assert "2 hospitals." in worst.text, "two of four have no figure"


def test_without_two_judged_hospitals_none_is_the_worst(make_result: MakeResult) -> None:
    assert worst_hospital(make_result(tasks=("response",)), "response") == []
    result = divided(make_result)
    groups = result.divisions["response"]["hospital"]
    two = {"response": {"hospital": {name: groups[name] for name in ("north", "west")}}}
    (unknown,) = worst_hospital(result.model_copy(update={"divisions": two}), "response")
    assert unknown.code == "no-worst-hospital"
    assert "1 of 2 hospitals" in unknown.text


def test_each_group_has_its_patients_and_events_worst_first(make_result: MakeResult) -> None:
    table = division_table(divided(make_result), "response")
    assert table is not None
    assert [row[0] for row in table.rows] == [
        "hospital: south", "hospital: north", "hospital: west", "sex: 0", "sex: 1"
    ]  # fmt: skip
    assert table.rows[2][1:4] == ("20", "7", "—")
    assert table.rows[0][1:4] == ("20", "7", "0.520 (0.310 to 0.880)")
    earlier = division_table(divided(make_result, events=None), "response")
    assert earlier is not None
    assert earlier.rows[0][2] == "—"
