"""The end of a chain seals everything before it."""

import hashlib

import pytest

from client.chained_log.chain import ChainEnd

BEGIN = ChainEnd(0, "")


def test_an_end_is_a_hash_over_the_previous_hash_and_the_text() -> None:
    first = BEGIN.followed_by("one")
    second = first.followed_by("two")
    assert (first.count, second.count) == (1, 2)
    assert first.hash == hashlib.sha256(b"\none").hexdigest()
    assert second.hash == hashlib.sha256(f"{first.hash}\ntwo".encode()).hexdigest()


def test_another_text_or_another_order_ends_otherwise() -> None:
    end = BEGIN.followed_by("one").followed_by("two")
    assert end != BEGIN.followed_by("two").followed_by("one")
    assert end != BEGIN.followed_by("one").followed_by("two ")


@pytest.mark.parametrize(
    ("hashes", "inside"),
    [(["a", "b"], True), (["a", "b", "c"], True), (["a"], False), ([], False), (["b", "a"], False)],
)
def test_an_end_is_in_the_chain_it_was_copied_from_and_in_longer_ones(
    hashes: list[str], inside: bool
) -> None:
    assert ChainEnd(2, "b").is_in(hashes) is inside


def test_the_beginning_is_in_every_chain() -> None:
    assert BEGIN.is_in([])
    assert BEGIN.is_in(["a"])
