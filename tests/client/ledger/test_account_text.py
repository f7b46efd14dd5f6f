"""A budget in words: grammatical, complete, and never more hopeful than the account."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from client.ledger.account import MOST_ROUNDS, Account, Run
from client.ledger.account_text import (
    ACCOUNTED_TOGETHER,
    COUNTED_THOUGH_INTERRUPTED,
    NO_GUARANTEE,
    print_account,
    release_text,
)
from client.site_folder.policy import Policy
from common.privacy.accounting import Release, Spend

DELTA = 1e-3
TOTAL = Spend(1.5, 1.25, DELTA)
ROUND = Release(mechanism="training", noise_multiplier=4.0, sampling_rate=0.25, steps=3)
RUN = Run("3f9a" * 16, 2, (ROUND,), Spend(1.5, 1.25, DELTA), 0, "2026-03-01T08:00", "2026-03-02T09:00")


def figures(text: str) -> list[str]:
    """The numbers of a text, as they are printed."""
    return re.findall(r"\d(?:[\d,.]*\d)?", text)


@pytest.mark.parametrize(
    ("release", "numbers"),
    [
        (ROUND, ["4", "0.25", "3"]),
        (ROUND.model_copy(update={"steps": 1}), ["4", "0.25", "1"]),
        (ROUND.model_copy(update={"steps": 12000}), ["4", "0.25", "12,000"]),
        (Release(mechanism="statistics", noise_multiplier=10.0), ["10"]),
        (Release(mechanism="statistics", noise_multiplier=10.0, steps=2), ["10", "2"]),
        (Release(mechanism="public-statistics"), []),
        (Release(mechanism="without-privacy"), []),
    ],
)
def test_a_release_in_words_has_all_its_figures(release: Release, numbers: list[str]) -> None:
    text = release_text(release)
    assert figures(text) == numbers
    assert (NO_GUARANTEE in text) is (release.mechanism == "without-privacy")


def test_kinds_of_release_are_told_apart() -> None:
    mechanisms = ("training", "statistics", "public-statistics", "without-privacy")
    assert len({release_text(Release(mechanism=mechanism)) for mechanism in mechanisms}) == 4


def account(
    *runs: Run,
    maximum: float | None = 9.0,
    total: Spend = TOTAL,
    last: Release | None = ROUND,
    further: int | None = 5,
) -> Account:
    policy = Policy(maximum_epsilon=maximum, delta=DELTA)
    made = Account("north", policy, Path("ledger"), None if not runs else 3, total, runs, last)
    made.__dict__["further_rounds"] = further  # cached: what it is, is not asked of the accountants
    return made


Show = Callable[..., str]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Show:
    """Prints an account, and returns what was printed."""
    monkeypatch.setenv("COLUMNS", "100")

    def show(found: Account, begun: bool = False) -> str:
        print_account(found, begun)
        return capsys.readouterr().out

    return show


LAST = ["4", "0.25", "3"]


@pytest.mark.parametrize(
    ("further", "left"),
    [
        (0, LAST),
        (1, ["1", *LAST]),
        (1234, ["1,234", *LAST]),
        (MOST_ROUNDS + 1, ["10,000", *LAST]),
        (None, []),
    ],
)
def test_what_is_left_is_a_sentence(further: int | None, left: list[str], shown: Show) -> None:
    limit = shown(account(RUN, further=further)).splitlines()[1]
    assert figures(limit) == ["9", "0.001", *left]


def test_one_round_is_no_plural(shown: Show) -> None:
    one, five = (shown(account(RUN, further=further)).splitlines()[1] for further in (1, 5))
    assert one.replace(": 1 ", ": 5 ") != five
    one, five = (release_text(ROUND.model_copy(update={"steps": steps})) for steps in (1, 5))
    assert one.replace(" 1 ", " 5 ") != five


def test_a_policy_without_a_limit_and_an_account_without_a_ledger_say_so(shown: Show) -> None:
    state, limit = shown(account(maximum=None, last=None, further=None)).splitlines()
    assert "north" in state
    assert "policy.maximum_epsilon" in limit
    assert figures(state) == figures(limit) == []


def test_both_accountants_and_every_run_are_shown(shown: Show) -> None:
    other = Run(
        "", None, (ROUND,), Spend(7.0, 8.0, DELTA), 1, "2026-04-01", "2026-04-01", "disk [red]of 3 March"
    )
    told = shown(account(RUN, other, total=Spend(101.5, math.inf, DELTA)))
    assert figures(told.splitlines()[0]) == ["101.500", "0.001", "101.500", "100"]
    for part in (
        *("3f9a3f9a3f", "1.250", "7.000", "2026-03-01", "2026-03-02", "2026-04-01", "disk [red]of 3 March"),
        *(ACCOUNTED_TOGETHER, COUNTED_THOUGH_INTERRUPTED),
    ):
        assert part in told
    assert RUN.digest not in told
    alone = shown(account(RUN))
    assert ACCOUNTED_TOGETHER not in alone
    assert COUNTED_THOUGH_INTERRUPTED not in alone


def test_both_accountants_have_a_figure_where_both_were_asked(shown: Show) -> None:
    head = shown(account(RUN, total=Spend(1.5, 1.25, DELTA))).splitlines()[0]
    assert figures(head) == ["1.250", "0.001", "1.500", "1.250"]


def test_without_a_guarantee_no_number_is_given(shown: Show) -> None:
    endless = Spend(math.inf, math.inf, DELTA)
    bare = Run(
        "ab" * 32, None, (Release(mechanism="without-privacy"),), endless, 0, "2026-03-01", "2026-03-01"
    )
    found = account(bare, RUN, total=endless, last=None, further=0)
    told = shown(found)
    head, limit = told.splitlines()[:2]
    assert NO_GUARANTEE in head
    assert (figures(head), figures(limit)) == ([], ["9", "0.001"])
    assert "inf" not in told.replace("infinite", "")
    assert ACCOUNTED_TOGETHER not in told
    assert found.as_json()["spent"]["epsilon"] is None


@pytest.mark.parametrize("carried", [(ROUND,), ()])
def test_a_loss_that_is_acknowledged_says_what_was_carried_over(
    carried: tuple[Release, ...], shown: Show
) -> None:
    first = Run("", None, carried, Spend(1.5, 1.25, DELTA), 0, "2026-03-03", "2026-03-03", "disk")
    begun = shown(account(first), True).splitlines()[0]
    assert begun != shown(account(first)).splitlines()[0]
    assert figures(begun) == LAST * len(carried)
    assert all(release_text(release) in begun for release in carried)
