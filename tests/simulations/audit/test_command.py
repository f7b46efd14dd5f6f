import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from common.errors import OptionError
from simulations.audit.audit import Request, run_audit
from simulations.audit.command import write_audit
from simulations.audit.report import Audit, CanaryRun

# With everyone in every step planning takes no time.
SMALL = Request(epsilons=(2.0,), patients=40, models=4, rounds=1, canaries=40, sampling_rate=1.0)


@pytest.fixture(scope="module")
def found() -> Audit:
    return run_audit(SMALL)


def test_every_way_of_training_has_its_figures(found: Audit) -> None:
    plain, private = found.rows
    assert (plain.name, private.name) == ("no DP", "epsilon 2")
    assert plain.claimed is None
    assert private.claimed == pytest.approx(2.0, abs=0.05)
    for row in found.rows:
        for attack in (row.loss, row.lira):
            assert 0 <= attack.auc.low <= attack.auc.value <= attack.auc.high <= 1
            assert 0 <= attack.true_positives.value <= 1
            assert list(attack.curve[0]) == [0, 0]
            assert list(attack.curve[-1]) == [1, 1]
        assert set(row.scores) == {"survival", "response", "toxicity"}
        assert row.one_run.bound <= row.one_run.ceiling


def test_what_is_written_can_be_read_and_drawn(found: Audit, tmp_path: Path) -> None:
    with (tmp_path / "seen.txt").open("w") as file:
        assert write_audit(SMALL, tmp_path / "out", Console(file=file, width=80), lambda request, say: found)
    assert Audit.model_validate_json((tmp_path / "out" / "audit.json").read_text()) == found
    drawing = (tmp_path / "out" / "roc.svg").read_text()
    assert all(name in drawing for name in ("LiRA", "Loss attack", "epsilon 2", "no DP"))
    printed = (tmp_path / "seen.txt").read_text()
    assert "…" not in printed  # nothing is cut off in a terminal of 80 columns
    assert re.search(rf"no DP .* {found.rows[0].one_run.bound:.2f}", printed)


def test_a_refuted_claim_is_said_and_fails(found: Audit, tmp_path: Path) -> None:
    private = found.rows[1]
    assert not private.refuted
    worse = private.model_copy(update={"one_run": private.one_run.model_copy(update={"bound": 2.7})})
    refuted = found.model_copy(update={"rows": (found.rows[0], worse)})
    with (tmp_path / "seen.txt").open("w") as file:
        assert not write_audit(SMALL, None, Console(file=file, width=200), lambda request, say: refuted)
    lines = (tmp_path / "seen.txt").read_text().splitlines()
    assert any("2.70" in line and "95%" in line for line in lines)


def test_a_bound_above_the_claim_reaches_the_verdict() -> None:
    shown = CanaryRun(canaries=40, guesses=20, correct=20, bound=2.5, ceiling=2.5)
    rows = run_audit(SMALL, one_run=lambda *given: shown).rows
    assert [row.refuted for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"models": 3}, "--models"),
        ({"patients": 10}, "--patients"),
        ({"canaries": 10}, "--canaries"),
        ({"delta": 0.0}, "--delta"),
        ({"epsilons": (math.inf,)}, "--epsilon"),
    ],
)
def test_what_gives_no_figures_is_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError) as refused:
        run_audit(replace(SMALL, **change))  # type: ignore[arg-type]
    assert refused.value.where == named
