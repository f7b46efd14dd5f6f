from pathlib import Path

import pytest

from common.errors import IntegrityError, StateError
from simulations.tuning.finished import RUNS, SEARCH, FinishedRuns, SearchFile, TuningRun

SETTINGS = "ab" * 32
DESCRIPTION = SearchFile(closed_fold=0, inner_folds=2, patients="p", code="c", device=None)
RUN = TuningRun(settings=SETTINGS, fold=1, seed=2, trained=True, scores={"survival": 0.7}, seconds=3.0)


def test_a_run_is_read_as_it_was_written_also_by_a_later_search(tmp_path: Path) -> None:
    finished = FinishedRuns(tmp_path / "out", DESCRIPTION)
    assert finished.read(SETTINGS, 1, 2) is None
    finished.write(RUN)
    again = FinishedRuns(tmp_path / "out", DESCRIPTION)
    assert again.read(SETTINGS, 1, 2) == RUN
    assert again.read(SETTINGS, 1, 3) is None
    assert again.read("cd" * 32, 1, 2) is None


@pytest.mark.parametrize(
    "change", [{"closed_fold": 1}, {"inner_folds": 3}, {"patients": "q"}, {"code": "d"}, {"device": "cpu"}]
)
def test_the_folder_of_another_search_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    FinishedRuns(tmp_path, DESCRIPTION)
    with pytest.raises(StateError):
        FinishedRuns(tmp_path, DESCRIPTION.model_copy(update=change))


def test_runs_without_a_description_are_refused(tmp_path: Path) -> None:
    FinishedRuns(tmp_path, DESCRIPTION).write(RUN)
    (tmp_path / SEARCH).unlink()
    with pytest.raises(StateError):
        FinishedRuns(tmp_path, DESCRIPTION)


def test_a_file_of_which_a_byte_differs_is_refused(tmp_path: Path) -> None:
    finished = FinishedRuns(tmp_path, DESCRIPTION)
    finished.write(RUN)
    (file,) = (tmp_path / RUNS).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"0.7", b"0.8"))
    with pytest.raises(IntegrityError) as error:
        finished.read(SETTINGS, 1, 2)
    assert error.value.where == str(file)
    file.write_bytes(whole)
    file.rename(file.with_name(file.name.replace("seed2", "seed3")))
    with pytest.raises(IntegrityError):
        finished.read(SETTINGS, 1, 3)
    (tmp_path / SEARCH).write_text("{}")
    with pytest.raises(IntegrityError):
        FinishedRuns(tmp_path, DESCRIPTION)
