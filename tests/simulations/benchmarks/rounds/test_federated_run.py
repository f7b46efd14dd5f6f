"""A federation in a process of its own, measured: the apps' own time is part of its rounds' and of its processors'."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME
from common.errors import StateError
from simulations.benchmarks.rounds.federated_run import run_measured

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="needs Linux's /proc")
SmallCohort = Callable[..., Path]


def test_every_round_is_measured_with_the_apps_time_in_it(small_cohort: SmallCohort) -> None:
    run = run_measured(small_cohort(training__rounds="3"), "serial")
    assert len(run.rounds) == 3
    assert run.starting_s > 0
    assert run.peak_mib > 100
    for each in run.rounds:
        assert 0 < each.app_processor_s < 2 * each.app_s
        assert each.server_s > 0  # of the first round with imports, so it can be longer than the round
        assert 0 < each.app_s < each.seconds + 0.1


def test_a_run_that_ends_early_is_an_error_and_no_figure(
    small_cohort: SmallCohort, capfd: pytest.CaptureFixture[str]
) -> None:
    cohort = small_cohort()
    (cohort / FILE_NAME).write_text("name = ")
    with pytest.raises(StateError) as failed:
        run_measured(cohort, "serial")
    assert "serial" in failed.value.where
    assert FILE_NAME in capfd.readouterr().err
