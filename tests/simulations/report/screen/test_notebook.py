"""Progress in a notebook: one output that is updated."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from server.records.journal import RoundRecord
from simulations.report.screen.audience import Silence, display_for
from simulations.report.screen.live import LiveDisplay
from simulations.report.screen.notebook import NotebookProgress, in_notebook


class Shown:
    """Stands for IPython's display: remembers what it is given."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.HTML = str

    def display(self, page: str, display_id: bool) -> Any:
        self.pages.append(page)
        return SimpleNamespace(update=self.pages.append)


def test_rounds_update_one_output(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    with NotebookProgress(4) as progress:
        progress.stage("fold 1 of 1: <hospitals> together")
        progress.round(1, RoundRecord(kind="train", round=2, seconds=1, training_loss=0.5, applied=True))
    assert "&lt;hospitals&gt;" in shown.pages[1]
    assert 'value="2" max="4"' in shown.pages[2]
    assert "round 2/4" in shown.pages[2]
    assert "finished" in shown.pages[-1]


def test_a_notebook_is_recognised_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not in_notebook()
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    assert in_notebook()
    assert display_for("auto") is NotebookProgress
    assert display_for(False) is Silence


def test_outside_a_terminal_progress_is_shown_if_it_is_asked_for() -> None:
    assert display_for(True) is LiveDisplay
    assert display_for("auto") is Silence
