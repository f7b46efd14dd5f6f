"""Sites that a process keeps open, played by texts whose size is their length."""

import pytest

from client.rounds.site_pool import SitePool


class Sites:
    """Keeps sites in a room of so many bytes, and counts what was read."""

    def __init__(self, room: int | None) -> None:
        self.pool = SitePool[str](size=len, room=room)
        self.read: list[str] = []

    def visit(self, *names: str, version: int = 1) -> int:
        """Number of these sites that had to be read."""
        before = len(self.read)
        for name in names:
            assert self.pool.get((name[0],), (version,), lambda name=name: self._read(name)) == name  # type: ignore[misc]
        return len(self.read) - before

    def _read(self, name: str) -> str:
        self.read.append(name)
        return name


def test_what_fits_is_read_once() -> None:
    sites = Sites(8)
    assert [sites.visit("aa", "bb", "cc", "dd") for _ in range(3)] == [4, 0, 0]


def test_in_a_room_that_is_too_small_the_first_ones_stay() -> None:
    sites = Sites(7)
    assert [sites.visit("aa", "bb", "cc", "dd") for _ in range(4)] == [4, 1, 1, 1]
    assert sites.read[4:] == ["dd", "dd", "dd"]


def test_one_that_has_no_room_by_itself_is_read_every_time() -> None:
    sites = Sites(3)
    assert [sites.visit("aaaa", "b") for _ in range(3)] == [2, 1, 1]


def test_another_version_is_read_and_takes_the_place_of_the_one_before() -> None:
    sites = Sites(4)
    assert sites.visit("aa", "bb") == 2
    assert sites.visit("aA", version=2) == 1
    assert sites.visit("aA", version=2) == 0
    assert sites.visit("bb") == 0


def test_sites_of_a_run_that_is_over_give_way_to_those_of_the_next() -> None:
    sites = Sites(6)
    sites.visit("aa", "bb", "cc")
    assert [sites.visit("dd", "ee", "ff") for _ in range(3)] == [3, 3, 0]


@pytest.mark.parametrize("size", [1, 1 << 20])
def test_by_default_there_is_room_for_a_few_megabytes(size: int) -> None:
    sites = Sites(None)
    assert [sites.visit("a" * size) for _ in range(2)] == [1, 0]
