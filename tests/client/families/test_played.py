from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.families.played import read_played
from client.site_folder.played_site import PlayedSite, play
from common.agreement.federation import FILE_NAME, load
from common.errors import InvalidContentError, MissingFileError

SmallCohort = Callable[..., Path]


def cohort_of(folder: Path, agreement: Path) -> Cohort:
    cohort = read_played(folder, load(agreement / FILE_NAME))
    assert isinstance(cohort, Cohort)
    return cohort


def test_units_of_parts_are_kept_in_order_with_their_folds(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    federation = load(cohort / FILE_NAME)
    first, second = cohort / "hospital-1", cohort / "hospital-2"
    one, other = read_cohort(first, federation), read_cohort(second, federation)
    less = play(first).model_copy(update={"units": (4, 1)}).write(tmp_path / "less")
    parts = (str(less), str(play(second).write(tmp_path / "whole")))
    both = PlayedSite(name="both", tables={}, parts=parts)
    plain = cohort_of(both.write(tmp_path / "both"), cohort)
    assert (plain.site, len(plain.batch)) == ("both", 32)
    assert torch.equal(plain.fold, torch.cat([one.fold[[4, 1]], other.fold]))
    assert torch.equal(plain.marks, torch.cat([one.marks[[4, 1]], other.marks]))
    assert plain.group == (one.group[4], one.group[1], *other.group)
    chosen = both.model_copy(update={"units": (31, 0), "folds": (7, -1)}).write(tmp_path / "chosen")
    few = cohort_of(chosen, cohort)
    assert few.fold.tolist() == [7, -1]
    for name, labels in few.batch.labels.items():
        assert torch.equal(labels, torch.stack([other.batch.labels[name][29], one.batch.labels[name][4]]))
    assert not few.batch.present("rna")[0], "hospital 2 has no RNA"
    assert few.batch.present("rna")[1]


@pytest.mark.parametrize(
    "changed", [{"units": (0, 30)}, {"folds": (0,)}, {"units": (0, 1), "folds": (0,) * 3}]
)
def test_folds_of_other_records_than_there_are_now_are_refused(
    small_cohort: SmallCohort, tmp_path: Path, changed: dict[str, tuple[int, ...]]
) -> None:
    cohort = small_cohort()
    folder = play(cohort / "hospital-1").model_copy(update=changed).write(tmp_path / "twin")
    with pytest.raises(InvalidContentError):
        read_played(folder, load(cohort / FILE_NAME))


def test_a_fault_in_a_part_is_told_of_the_hospitals_own_table(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    part = play(cohort / "hospital-1").write(tmp_path / "part")
    folder = PlayedSite(name="pooled", tables={}, parts=(str(part),)).write(tmp_path / "pooled")
    (cohort / "hospital-1" / "clinical.csv").unlink()
    with pytest.raises(MissingFileError) as refused:
        read_played(folder, load(cohort / FILE_NAME))
    assert refused.value.where == str(cohort / "hospital-1" / "clinical.csv")
