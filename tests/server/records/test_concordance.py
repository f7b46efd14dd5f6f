"""Interval of a round's concordance."""

import pytest

from server.records.concordance import least_events


@pytest.mark.parametrize(("events", "patients"), [(1, 10), (5, 10), (9, 10), (30, 400)])
def test_the_events_of_complete_follow_up_are_known_by_their_pairs(events: int, patients: int) -> None:
    pairs = events * (patients - events) + events * (events - 1) / 2
    assert least_events(pairs, patients) == events


def test_pairs_beyond_those_of_the_patients_are_all_events() -> None:
    assert least_events(1e6, 10) <= 10
    assert least_events(0.0, 10) == 1
    assert least_events(3.0, 1) == 1
