"""A budget in words: grammatical, complete, and never more hopeful than the account."""

import json
import math
from pathlib import Path

import pytest

from client.ledger import account_text as spending_text
from client.ledger.account import MOST_ROUNDS, Account, Run
from client.ledger.account_text import NO_GUARANTEE, release_text, show
from client.site_folder.policy import Policy
from common.privacy.accounting import Release, Spend

DELTA = 1e-3
TOTAL = Spend(1.5, 1.25, DELTA)
ROUND = Release(mechanism="training", noise_multiplier=4.0, sampling_rate=0.25, steps=3)
RUN = Run("3f9a" * 16, 2, (ROUND,), Spend(1.5, 1.25, DELTA), 0, "2026-03-01T08:00", "2026-03-02T09:00")


@pytest.mark.parametrize(
    ("release", "words"),
    [
        (ROUND, "training: noise 4, sampling rate 0.25, 3 steps"),
        (ROUND.model_copy(update={"steps": 1}), "training: noise 4, sampling rate 0.25, 1 step"),
        (ROUND.model_copy(update={"steps": 12000}), "training: noise 4, sampling rate 0.25, 12,000 steps"),
        (Release(mechanism="statistics", noise_multiplier=10.0), "statistics: noise 10"),
        (Release(mechanism="statistics", noise_multiplier=10.0, steps=2), "statistics: noise 10, 2 times"),
        (Release(mechanism="public-statistics"), "public statistics: outside the guarantee"),
        (Release(mechanism="without-privacy"), "training without privacy: no guarantee"),
    ],
)
def test_a_release_in_words(release: Release, words: str) -> None:
    assert release_text(release) == words


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


def shown(
    found: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool = False
) -> str:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(spending_text, "read_account", lambda folder: found)
    show(Path("site"), None, as_json)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("further", "words"),
    [
        (0, ": no more rounds like the last (training: noise 4, sampling rate 0.25, 3 steps) fit."),
        (1, ": 1 more round like the last (training: noise 4, sampling rate 0.25, 3 steps) fits."),
        (1234, ": 1,234 more rounds like the last ("),
        (MOST_ROUNDS + 1, ": more than 10,000 more rounds like the last ("),
        (None, "; no round of training is recorded yet to tell how many would fit."),
    ],
)
def test_what_is_left_is_a_sentence(
    further: int | None, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = shown(account(RUN, further=further), monkeypatch, capsys)
    assert f"The policy allows 9 at delta 0.001{words}" in told


def test_a_policy_without_a_limit_and_an_account_without_a_ledger_say_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = shown(account(maximum=None, last=None, further=None), monkeypatch, capsys)
    assert told.splitlines() == [
        "north: there is no privacy ledger yet; no release of this cohort is recorded.",
        "The policy sets no limit (policy.maximum_epsilon in site.toml).",
    ]


def test_both_accountants_and_every_run_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Run(
        "", None, (ROUND,), Spend(7.0, 8.0, DELTA), 1, "2026-04-01", "2026-04-01", "disk [red]of 3 March"
    )
    total = Spend(101.5, math.inf, DELTA)
    told = shown(account(RUN, other, total=total), monkeypatch, capsys)
    head = "epsilon 101.500 spent so far at delta 0.001 (moments accountant 101.500, loss distributions not computed"
    assert head in told
    for part in (
        *("3f9a3f9a3f", "carried over", "1.250", "7.000", "2026-03-01 to 2026-03-02"),
        "1 of these interrupted, counted",
        "Acknowledged on 2026-04-01: disk [red]of 3 March",
        "epsilons alone do not add up",
        "Interrupted, counted: reserved and never committed",
    ):
        assert part in told
    assert RUN.digest not in told


def test_without_a_guarantee_no_number_is_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endless = Spend(math.inf, math.inf, DELTA)
    bare = Run(
        "ab" * 32, None, (Release(mechanism="without-privacy"),), endless, 0, "2026-03-01", "2026-03-01"
    )
    found = account(bare, RUN, total=endless, last=None, further=0)
    told = shown(found, monkeypatch, capsys)
    assert f"north: {NO_GUARANTEE}: something was released without noise, so epsilon is infinite." in told
    assert "The policy allows 9 at delta 0.001: no round fits any more." in told
    assert "inf" not in told.replace("infinite", "")
    assert "add up" not in told
    assert json.loads(shown(found, monkeypatch, capsys, as_json=True))["spent"]["epsilon"] is None


@pytest.mark.parametrize(
    ("carried", "words"),
    [
        ((ROUND,), "Carried over: training: noise 4, sampling rate 0.25, 3 steps."),
        ((), "Carried over: nothing, as nothing was known to be released."),
    ],
)
def test_a_loss_that_is_acknowledged_says_what_was_carried_over(
    carried: tuple[Release, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known: list[str] = []
    monkeypatch.setattr(spending_text, "acknowledge_loss", lambda folder, note: known.append(note))
    first = Run("", None, carried, Spend(1.5, 1.25, DELTA), 0, "2026-03-03", "2026-03-03", "disk")
    monkeypatch.setattr(spending_text, "read_account", lambda folder: account(first))
    show(Path("site"), "disk", as_json=False)
    assert known == ["disk"]
    assert f"A new ledger was begun. {words}" in capsys.readouterr().out
