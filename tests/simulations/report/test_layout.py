"""Pages of simulations, laid out by a real browser on a phone, on a desk and in the dark."""

from pathlib import Path

import pytest

from simulations.report.page import render
from simulations.report.robustness import render_robustness
from simulations.report.spoiling import render_warnings
from tests.chromium import DESK, LAYOUT, PHONE, PROGRAM, Browser
from tests.simulations.conftest import made_up_evidence, made_up_result
from tests.simulations.report.test_robustness import figures as robustness_figures
from tests.simulations.report.test_spoiling import figures as warning_figures

pytestmark = [pytest.mark.slow, pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")]


def test_nothing_is_too_small_or_beyond_the_edge(tmp_path: Path) -> None:
    pages = {
        "report": render(made_up_result(), made_up_evidence()),
        "robustness": render_robustness(robustness_figures("a & b")),
        "warnings": render_warnings(warning_figures()),
    }
    with Browser(tmp_path) as browser:
        for name, page in pages.items():
            (tmp_path / f"{name}.html").write_text(page, encoding="utf-8")
            for width in (PHONE, DESK):
                browser.screen(width)
                browser.open((tmp_path / f"{name}.html").as_uri())
                assert browser.evaluate(LAYOUT) == [], (name, width)
                assert browser.messages == []
