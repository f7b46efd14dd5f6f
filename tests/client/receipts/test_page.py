from pathlib import Path
from typing import Any

import pytest

from client.receipts.book import append_receipt
from client.receipts.outside_count import outside_count_path
from client.receipts.page import (
    NOT_COUNTED_OUTSIDE,
    as_data,
    as_lines,
    page,
    read_receipts,
    verification_text,
)
from client.receipts.receipt import Receipt, VerifiedReceipts
from client.site_folder.keys import new_key, read_key, read_public_key
from client.site_folder.places import Home
from client.site_folder.site_file import SITE_FILE

PASSED: dict[str, Any] = {
    "run": "8",
    "request": "r",
    "asked": "train",
    "message": "TrainReply",
    "verdict": "passed",
    "size_bytes": 12_345,
    "sha256": "ab" * 32,
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / SITE_FILE).write_text(
        'name = "Spital <i>Nord</i>"\nid = "patient"\n[tables]\noutcomes = "o.csv"\n'
    )
    home = Home(tmp_path)
    private, public = new_key()
    home.key.parent.mkdir()
    home.key.write_bytes(private)
    home.key.chmod(0o600)
    home.public_key.write_bytes(public)
    return home


def written(home: Home, *changes: dict[str, Any]) -> VerifiedReceipts:
    for number, change in enumerate(changes, start=1):
        append_receipt(home.receipts, Receipt(**{**PASSED, "round": number, **change}), read_key(home.key))
    return read_receipts(home)


def test_before_the_first_message_there_is_nothing_and_nothing_wrong(home: Home) -> None:
    found = read_receipts(home)
    assert found.receipts == ()
    assert not home.receipts.parent.exists()
    assert (found.beyond_head, found.outside) == (0, None)
    assert verification_text(found).startswith("0 receipts")
    assert "0 messages, 0 bytes" in page(home, found)


def test_a_page_tells_what_left_and_what_was_held_back(home: Home) -> None:
    found = written(
        home,
        {
            "arrays": {"weights/<b>a</b>": (2, 3)},
            "numbers": {"metrics": {"training_loss": 0.5}},
            "update_norm": 0.25,
        },
        {"message": "RefusalReply", "verdict": "blocked", "reason": "not-finite", "size_bytes": 300},
        {"message": "RefusalReply", "verdict": "refused", "reason": "declined-budget", "size_bytes": 300},
        {"delta": 1e-3, "epsilon_before": 0.5, "epsilon_after": 0.75, "suppressed": ("response",)},
        {"delta": 1e-3},
    )
    html = page(home, found)
    told = " ".join(html.split())
    assert "3 passed the gate, 1 were refusals, 0 were failures, 1 were held back." in told
    assert "5 messages, 37,635 bytes in all" in told
    assert "blocked: not-finite" in told
    assert "refused: declined-budget" in told
    assert "0.500, 0.750" in told
    assert "no guarantee" in told
    assert "Held back, too few patients: response." in told
    assert "1 arrays, 1 numbers" in told
    assert told.index('<th scope="row">5<') < told.index('<th scope="row">1<')


def test_a_page_runs_nothing_and_fetches_nothing(home: Home) -> None:
    html = page(home, written(home, {"arrays": {"weights/<b>a</b>": (2, 3)}, "reason": "<script>"}))
    assert "&lt;b&gt;a" in html
    assert "Spital &lt;i&gt;Nord" in html
    assert html.count("<script") == 1  # the page's own, by its hash
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_lines_and_data_tell_the_same(home: Home) -> None:
    found = written(
        home,
        {"update_norm": 0.25},
        {"verdict": "blocked", "reason": "count", "round": None},
        {"delta": 1e-3, "epsilon_before": 0.5, "epsilon_after": 0.75},
    )
    first, second, third = as_lines(found.receipts)
    assert first.split()[0] == "1"
    assert first.endswith("passed  TrainReply  round 1  12,345 bytes  update norm 0.25")
    assert second.endswith("blocked  TrainReply  count  12,345 bytes")
    assert third.endswith("epsilon 0.500 -> 0.750")
    assert [one["number"] for one in as_data(found)] == [1, 2, 3]
    assert as_data(found)[1]["reason"] == "count"


def test_receipts_the_head_does_not_count_are_said(home: Home) -> None:
    found = VerifiedReceipts(written(home, {}).receipts, 1)
    assert verification_text(found).endswith(
        "The last 1 came before a crash and is not yet counted in the head file."
    )


def test_receipts_that_are_not_counted_outside_the_folder_are_named(home: Home) -> None:
    assert "outside" not in verification_text(written(home, {}, {}))
    behind = outside_count_path(home.receipts, read_public_key(home.public_key)).read_bytes()
    written(home, {})
    outside_count_path(home.receipts, read_public_key(home.public_key)).write_bytes(behind)
    assert verification_text(read_receipts(home)).endswith(
        "The last 1 is not yet counted outside the folder."
    )
    outside_count_path(home.receipts, read_public_key(home.public_key)).unlink()
    assert NOT_COUNTED_OUTSIDE in verification_text(read_receipts(home))
    assert NOT_COUNTED_OUTSIDE in page(home, read_receipts(home))


def test_a_page_claims_no_more_than_a_copy_can_show(home: Home) -> None:
    text = " ".join(page(home, written(home, {})).split())
    assert "Only the hospital itself can see whether the copy is the latest" in text


def test_an_empty_folder_is_no_failure(home: Home) -> None:
    home.receipts.parent.mkdir()
    assert read_receipts(home).receipts == ()


def test_no_receipt_commands_a_terminal() -> None:
    (line,) = as_lines([Receipt(**PASSED | {"message": "\x1b[2J", "reason": "\x9b"})])
    assert line.isprintable()
