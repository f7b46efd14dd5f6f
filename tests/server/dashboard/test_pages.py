import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from common.extras import EXTRAS
from server.dashboard import serving
from server.home.places import CoordinatorHome
from server.records.journal import FILE_NAME as JOURNAL
from tests.server.dashboard.recorded import (
    SITES,
    Visitor,
    coordinator,
    exchange,
    record,
    sha256,
    start,
    write,
)


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return coordinator(tmp_path / "home")


@pytest.fixture
def browser(home: CoordinatorHome) -> Visitor:
    return Visitor(home)


def test_a_coordinator_without_runs_is_shown(browser: Visitor) -> None:
    page = browser.get("/").text
    assert "<b>south</b>" not in page
    assert "&lt;b&gt;south&lt;/b&gt;" in page
    assert "consilium coordinator run" in page
    assert json.loads(browser.get("/status.json").text)["running"] is False


def test_a_run_is_shown_while_its_journal_is_written(home: CoordinatorHome, browser: Visitor) -> None:
    out = start(home, "1")
    progress = {"kind": "train", "round": 2, "asked": "2026-11-28T01:02:03+00:00"}
    reported = {"east": "2026-11-28T01:02:05+00:00", "north": None}
    (out / "progress.json").write_text(json.dumps({**progress, "reported": reported}))
    write(out, exchange(1, "north"))
    with (out / JOURNAL).open("a") as file:
        file.write('{"record":"round","kind"')
    page = browser.get("/runs/1").text
    assert "1 of 2 hospitals reported since 2026-11-28 01:02:03 UTC; waiting for north" in page
    assert "not-approved" in page
    assert sha256("east", 1)[:16] in page
    assert sha256("north", 1)[:16] not in page
    assert page.count("<svg") == 3
    write(
        out,
        exchange(2),
        exchange(3, kind="evaluate"),
        record("completed", rounds=2, best_round=1, best_loss=0.5),
    )
    page = browser.get("/runs/1").text
    assert "the weights of round 1" in page
    assert sha256("east", 3)[:16] in page
    assert sha256("north", 2)[:16] in browser.get("/runs/1/exchanges/1").text
    for path in (
        "/runs/1/exchanges/9",
        "/runs/2",
        "/runs/%2e%2e/report.html",
        "/runs/1/run.json",
    ):
        assert browser.get(path).status_code == 404


def test_runs_past_and_interrupted_are_listed_with_how_they_ended(
    home: CoordinatorHome, browser: Visitor
) -> None:
    write(start(home, "20261127-1"), exchange(1), record("completed", rounds=1, best_round=1))
    write(start(home, "20261127-2", ended="interrupted"), exchange(1), exchange(2))
    (start(home, "20261127-3") / JOURNAL).write_text("nonsense\n")
    (home.runs / "20261127-4").mkdir()
    page = browser.get("/").text
    for state in ("completed", "interrupted", "unreadable", "waiting"):
        assert f">{state}<" in page
    assert "is damaged" in browser.get("/runs/20261127-3").text


def test_a_report_in_the_folder_of_a_run_is_shown_and_no_other_file(
    home: CoordinatorHome, browser: Visitor
) -> None:
    out = start(home, "1")
    (out / "report.html").write_text("<p>report</p>")
    assert "/runs/1/report.html" in browser.get("/runs/1").text
    answer = browser.get("/runs/1/report.html")
    assert answer.text == "<p>report</p>"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert browser.get("/runs/1/federation.toml").status_code == 404


def test_logs_are_text_whatever_they_hold(home: CoordinatorHome, browser: Visitor) -> None:
    lines = [f"line {number}" for number in range(500)]
    (home.logs / "superlink.log").write_bytes("\n".join([*lines, "<script>\x1b[31m"]).encode() + b"\xff\n")
    page = browser.get("/logs").text
    assert "&lt;script&gt;\\x1b[31m" in page
    assert ("line 499" in page, "line 302" in page, "line 300\n" in page) == (True, True, False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for changes that follow one another at once."""
    monkeypatch.setattr(serving, "LOOK_EVERY_S", 0.01)


@pytest.mark.usefixtures("quick")
def test_changes_are_streamed_to_every_browser(home: CoordinatorHome) -> None:
    out = start(home, "1")
    looks = iter([False, False, False, True])

    def stopping() -> bool:
        done = next(looks)
        if not done:
            write(out, exchange(1))
        return done

    browser = Visitor(home, stopping)
    answer = browser.get("/events?run=1")
    assert answer.headers["content-type"].startswith("text/event-stream")
    marks = [line for line in answer.text.splitlines() if line.startswith("data: ")]
    assert len(set(marks)) == 3
    assert browser.get("/events?run=2").status_code == 404


@pytest.mark.usefixtures("quick")
def test_a_page_knows_the_mark_of_what_it_shows(home: CoordinatorHome) -> None:
    start(home, "1")
    looks = iter([False, True])
    browser = Visitor(home, lambda: next(looks))
    page, stream = browser.get("/runs/1").text, browser.get("/events?run=1").text
    mark = stream.partition("data: ")[2].strip()
    assert f'data-mark="{mark}"' in page
    assert SITES[0] in page


def test_prometheus_is_answered_and_names_no_hospital_unless_asked(
    home: CoordinatorHome, browser: Visitor
) -> None:
    write(start(home, "1"), exchange(1, "north"), record("completed", rounds=1, best_round=1))
    families = {
        family.name: family for family in text_string_to_metric_families(browser.get("/metrics").text)
    }
    assert families["consilium_hospitals_enrolled"].samples[0].value == 3
    assert families["consilium_run_hospitals_missing"].samples[0].value == 1
    assert families["consilium_runs"].samples[0].labels == {"state": "completed"}
    assert families["consilium_run_training_loss"].samples[0].value == 2.0
    assert "north" not in browser.get("/metrics").text


def test_without_its_package_prometheus_is_told_what_to_install(
    browser: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXTRAS, "prometheus", ("no_such_module",))
    answer = browser.get("/metrics")
    assert (answer.status_code, "consilium[prometheus]" in answer.text) == (501, True)
