from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.data.inspection import read_cohort
from common.agreement.modalities import Modality
from common.errors import StateError
from common.tasks.survival import SurvivalTask
from simulations.cohorts.folders import find_sites
from simulations.cohorts.patients import (
    SourcePatients,
    as_levels,
    frequent,
    hold_out,
    read_public,
    write_patients,
)


def test_folds_spread_every_stratum_evenly_and_follow_the_seed() -> None:
    strata = [(site, event) for site in range(7) for event in (0, 1) for _ in range(3 + 4 * site + event)]
    fold = hold_out(strata, seed=3)
    assert np.ptp(np.bincount(fold, minlength=5)) <= 1
    for stratum in set(strata):
        inside = fold[[place for place, other in enumerate(strata) if other == stratum]]
        assert np.ptp(np.bincount(inside, minlength=5)) <= 1
    assert (fold == hold_out(strata, seed=3)).all()
    assert (fold != hold_out(strata, seed=4)).any()


def test_levels_are_text_and_rare_ones_are_missing_or_other() -> None:
    cells = pd.Series([1.0, 1.0, 2.0, None, 1.0])
    assert as_levels(cells, ("1",)).tolist() == ["1", "1", None, None, "1"]
    assert as_levels(cells, ("1",), other="other").tolist() == ["1", "1", "other", None, "1"]
    assert frequent(pd.Series(["b", "a", "a", "b", "c", None]), 2) == ("a", "b")


def test_na_is_a_legal_code_in_public_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,age\nNA,\n05,7\n")
    table = read_public(tmp_path / "a.csv", ["code", "age"], text=["code"])
    assert table.code.tolist() == ["NA", "05"]
    assert table.age.isna().tolist() == [True, False]


def test_sites_named_alike_get_folders_of_their_own(tmp_path: Path) -> None:
    index = pd.Index([f"p{number}" for number in range(40)])
    site = pd.Series(np.repeat(["Prior", "A-B", "A: B", "a b"], 10), index=index)
    outcomes = pd.DataFrame({"time": 1.0, "event": 0, "fold": 0}, index=index)
    clinical = Modality(name="clinical", node="clinical", columns=("age",))
    task = SurvivalTask(name="survival", time="time", event="event", unit="days", longest=9)
    tables = {"clinical": pd.DataFrame({"age": range(40)}, index=index)}
    federation = write_patients(tmp_path, "alike", SourcePatients(site, outcomes, tables), [clinical], [task])
    cohorts = [read_cohort(folder, federation) for folder in find_sites(tmp_path)]
    assert {cohort.site for cohort in cohorts} == {"Prior", "A-B", "A: B", "a b"}
    assert federation.declared_patients == {cohort.site: len(cohort.batch) for cohort in cohorts}
    with pytest.raises(StateError) as refused:
        write_patients(tmp_path, "again", SourcePatients(site, outcomes, tables), [clinical], [task])
    assert refused.value.where == str(tmp_path)
