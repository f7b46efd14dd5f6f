from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, load
from common.errors import OptionError
from simulations.benchmarks.intervals.held_out import read_cohorts


def test_hospitals_are_read_with_the_fold_that_they_hold_out(written_cohort: Path) -> None:
    federation = load(written_cohort / FILE_NAME)
    hospitals = read_cohorts(str(written_cohort), None, federation, 0)
    assert len(hospitals) == 3
    assert all((hospital.fold == 0).any() for hospital in hospitals)
    with pytest.raises(OptionError):
        read_cohorts(str(written_cohort), None, federation, 99)
