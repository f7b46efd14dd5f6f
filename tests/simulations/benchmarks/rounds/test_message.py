"""Real processes are started, every part of a message is timed, and the message_table says on what."""

import json
from pathlib import Path

import pytest
import torch

from simulations.benchmarks.rounds import message
from simulations.benchmarks.rounds.message import (
    COLUMNS,
    AskedHospital,
    MessageFigures,
    message_table,
    run_message,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[MessageFigures, Path]:
    """Figures of processes on a cold machine: the one that warms up would measure nothing."""
    out = tmp_path_factory.mktemp("out") / "new" / "message.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AskedHospital, "warm_up", lambda self: None)
        return run_message(["lung"], None, 1, out), out


def test_every_kind_of_message_is_measured(measured: tuple[MessageFigures, Path]) -> None:
    costs, out = measured
    assert MessageFigures.model_validate(json.loads(out.read_text())) == costs
    assert [(cost.private, cost.kept) for cost in costs.costs] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]
    for cost in costs.costs:
        assert (cost.cohort, cost.patients) == ("lung", 52)  # the largest hospital
        assert set(cost.seconds) == set(COLUMNS)
        assert all(cost.seconds[part] > 0 for part in COLUMNS)
        assert sum(cost.seconds[part] for part in COLUMNS if not part.startswith("app's")) < cost.total
        assert cost.cpu > 0
        assert cost.seconds["app's imports"] > cost.seconds["app's tables"]


def test_packages_are_those_that_the_message_imports(measured: tuple[MessageFigures, Path]) -> None:
    packages = measured[0].packages
    for name in ("torch", "flwr", "numpy"):
        assert min(packages[name]) > 0
    plain, private = packages["scipy"]  # for the accountants
    assert plain == 0 < private
    assert not {"opacus", "pandas"} & set(packages)  # the tables were kept
    assert packages["simulations"][0] < 0.1


def test_the_table_says_what_was_measured_on_what(measured: tuple[MessageFigures, Path]) -> None:
    costs, _ = measured
    printed = message_table(costs)
    assert printed.count("| lung (52 patients) |") == len(costs.costs)
    assert "| torch |" in printed
    assert f"torch {torch.__version__}" in printed
    assert f"{costs.date:%Y-%m-%d}" in printed
    assert len(printed.split("\n\n")[1].splitlines()) == 2 + message.PACKAGES + 1
