"""A page with every part, laid out by a real browser."""

import csv
import io
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from markupsafe import Markup

from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.bars import ChartBar, bar_chart
from common.pages.charts.histogram import ChartRange, histogram
from common.pages.charts.intervals import IntervalPoint, IntervalRow, interval_chart
from common.pages.charts.lines import ChartLine, line_chart
from common.pages.document import PageSection, document
from common.pages.figure import figure
from common.pages.parts import code, facts, note
from common.pages.table import PageTable, TableCell, table
from tests.chromium import DESK, LAYOUT, PHONE, PROGRAM, Browser

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")]
Row = Sequence[str | Markup | TableCell | None]
LONG = "Universitätsklinikum der Landeshauptstadt, Campus Nord"


def everything() -> str:
    curve = [(float(at), 1 / at) for at in range(1, 21)]
    lines = [ChartLine(name, curve, marked=True) for name in ("Federated", LONG)]
    charts = [
        line_chart("Losses", "Falls.", lines, ChartAxis("Round"), ChartAxis("Loss"), marks=[AxisMark(14, "kept")]),
        bar_chart("Shares", "f", [ChartBar(LONG, 0.4, "40%")], ChartAxis("Share", percent=True)),
        interval_chart(
            "C-index", "f", [IntervalRow(LONG, [IntervalPoint(0, 0.6, 0.5, 0.7, "0.600 (0.50 to 0.70)")])],
            ChartAxis("C-index"), marks=[AxisMark(0.5, "chance")],
        ),
        histogram(
            "Ages", "f", [20, 40, 60, 80], [3, 9, 4], ChartAxis("Years"), ChartAxis("Patients"),
            ranges=[ChartRange(0, 120, "plausible"), ChartRange(30, 90, "typical")],
        ),
    ]  # fmt: skip
    rows: list[Row] = [
        (LONG, TableCell("12%", 0.1234), "=1+1", None, "0.712"),
        ("B, C", "1,200", 'say "so"', "-0.5", "x"),
    ]
    parts = [
        figure(charts, "Curves."),
        table(PageTable(("Hospital", "Share", "Words", "Change", "C-index"), rows, "All.", name="all")),
        note("Look at the units.", "warning"),
        facts({"Digest": code("ab" * 32)}),
    ]
    return document(
        LONG, [PageSection(name, parts if name == "One" else []) for name in ("One", "Two", "Three")]
    )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(everything(), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_too_small_or_beyond_the_edge(browser: Browser, page: Path, width: int) -> None:
    browser.screen(width)
    browser.open(page.as_uri())
    assert browser.evaluate(LAYOUT) == []
    assert browser.messages == []


def test_the_theme_is_the_reader_s_and_print_is_light(browser: Browser, page: Path) -> None:
    papers = []
    for theme in ("light", "dark"):
        browser.screen(DESK, theme=theme)
        browser.open(page.as_uri())
        papers.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert papers[0] == "rgb(255, 255, 255)"
    assert papers[1] != papers[0]
    browser.ask(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    assert browser.evaluate("getComputedStyle(document.body).color") == "rgb(26, 26, 26)"
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"


def saved(folder: Path, name: str) -> bytes:
    path = folder / name
    deadline = time.monotonic() + 20
    while not path.is_file() or not path.stat().st_size:
        assert time.monotonic() < deadline, f"{name} was not saved"
        time.sleep(0.05)
    return path.read_bytes()


def test_charts_and_tables_are_saved(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.ask("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.screen(DESK, theme="dark")
    browser.open(page.as_uri())
    chart, holder = (
        "document.querySelector('[data-chart=losses]')",
        "document.querySelector('[data-table=all]')",
    )
    for place in (0, 1):
        browser.evaluate(f"{chart}.querySelectorAll('button')[{place}].click()")
    browser.evaluate(f"{holder}.querySelector('button').click()")
    drawing = saved(tmp_path, "losses.svg").decode()
    assert "var(" not in drawing
    assert 'xmlns="http://www.w3.org/2000/svg"' in drawing
    assert saved(tmp_path, "losses.png").startswith(b"\x89PNG")
    rows = list(csv.reader(io.StringIO(saved(tmp_path, "all.csv").decode("utf-8-sig"))))
    assert rows[1] == [LONG, "0.1234", "'=1+1", "", "0.712"]  # no spreadsheet takes a text for a formula
    assert rows[2] == ["B, C", "1,200", 'say "so"', "-0.5", "x"]
    assert browser.messages == []


def test_a_page_can_be_printed(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.screen(DESK)
    browser.open(page.as_uri())
    browser.printed(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
