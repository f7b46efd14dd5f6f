"""A hospital that declines, and the others that go on, through the whole federation."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from client.ledger.ledger import Ledger
from common.agreement.federation import FILE_NAME, load, save
from common.agreement.privacy_settings import Privacy
from common.privacy.accounting import spend
from common.privacy.planning import planned_releases, with_privacy
from server.records.dropped import DropReason
from server.records.journal import RunRecord, read_journal
from simulations.experiment.arms import Job, train_federation

SmallCohort = Callable[..., Path]
PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=15)


def closed(job: Job) -> RunRecord:
    run = read_journal(job.out)[-1]
    assert isinstance(run, RunRecord)
    return run


def run(folder: Path, out: Path) -> Job:
    sites = tuple(sorted(path.parent for path in folder.glob("*/site.toml")))
    job = Job(folder / FILE_NAME, sites, fold=-1, seed=0, out=out)
    train_federation(job)
    return job


def demand(site: Path, policy: str) -> None:
    """Give a hospital a policy; folds are for simulations and do not go with one."""
    file = site / "site.toml"
    without = re.sub(r"(?m)^fold = .*\n", "", file.read_text())
    file.write_text(f"{without}\n[policy]\n{policy}\n")


@pytest.mark.parametrize(
    ("private", "policy", "code"),
    [
        (False, "require_dp = true", "declined-without-privacy"),
        (True, "maximum_epsilon = 0.5", "declined-budget"),
        (True, "minimum_cohort = 1000", "declined-cohort"),
        (True, 'tasks = ["response"]', "declined-task"),
        (True, 'statistics = ["noised"]', "declined-statistics"),
    ],
)
def test_a_hospital_declines_with_a_code_and_the_others_go_on(
    private: bool, policy: str, code: str, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    folder = small_cohort()
    federation = load(folder / FILE_NAME)
    if private:
        federation = with_privacy(federation, PRIVACY)
        save(federation, folder / FILE_NAME)
    demand(folder / "hospital-1", policy)
    ended = closed(run(folder, tmp_path / "out"))
    assert ended.status == "completed"
    assert len(ended.sites) == 2
    refusals = [one.code for one in ended.left_out if one.reason is DropReason.REFUSED]
    assert refusals == [code]
    if private:
        with Ledger(folder / "hospital-3") as ledger:
            cost = spend(ledger.releases(), 1e-3)
        assert cost == spend(planned_releases(PRIVACY, federation.training.rounds), 1e-3)
        with Ledger(folder / "hospital-1") as ledger:
            assert ledger.releases() == []
