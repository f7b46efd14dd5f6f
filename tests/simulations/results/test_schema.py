import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from simulations.results.machine import machine
from simulations.results.schema import MetricSummary, SimulationResult, interval_text, summarise

MakeResult = Callable[..., SimulationResult]
figures = st.one_of(st.none(), st.just(math.nan), st.floats(0, 1))


def test_mean_and_sample_deviation_leave_undefined_folds_out() -> None:
    summary = summarise([0.6, None, 0.7, math.nan], interval=(0.58, 0.71))
    assert summary.mean == pytest.approx(0.65)
    assert summary.sd == pytest.approx(0.0707107, abs=1e-6)
    assert summary.per_fold == (0.6, None, 0.7, None)
    assert summary.interval == (0.58, 0.71)


def test_one_fold_has_no_deviation_and_no_fold_no_mean() -> None:
    assert summarise([0.6]).sd is None
    assert summarise([]).mean is None
    assert summarise([math.nan, None]).mean is None


def test_groups_are_averaged_over_the_folds_that_have_them() -> None:
    summary = summarise([0.6, 0.7], [{"BRCA": 0.5, "COAD": math.nan}, {"BRCA": 0.7, "KIRC": 0.4}])
    assert summary.groups == {"BRCA": pytest.approx(0.6), "COAD": None, "KIRC": 0.4}


@given(st.lists(figures, max_size=6))
def test_a_summary_never_holds_nan_and_its_mean_lies_between_its_folds(per_fold: list[float | None]) -> None:
    summary = summarise(per_fold, interval=(math.nan, math.inf))
    known = [figure for figure in summary.per_fold if figure is not None]
    assert all(math.isfinite(figure) for figure in known)
    assert summary.interval == (None, None)
    if known:
        assert summary.mean is not None
        assert min(known) - 1e-12 <= summary.mean <= max(known) + 1e-12


def test_a_result_comes_back_from_its_file(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result()
    result.write(tmp_path / "result.json")
    assert SimulationResult.read(tmp_path / "result.json") == result
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_a_result_of_an_earlier_version_without_reasons_is_read(
    make_result: MakeResult, tmp_path: Path
) -> None:
    path = tmp_path / "result.json"
    make_result(sites=2, tasks=("response",)).write(path)
    earlier = json.loads(path.read_text())
    for fold in earlier["folds"]:
        del fold["absent"]
    for site in earlier["sites"]["response"].values():
        for later in ("held_out", "intervals", "gain", "reasons"):
            del site[later]
    for hospital in earlier["hospitals"].values():
        del hospital["held_out"]
    path.write_text(json.dumps(earlier))
    result = SimulationResult.read(path)
    assert all(scores.reasons == () for scores in result.sites["response"].values())


def test_the_file_is_plain_json_with_null_for_nan(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(sites=2, tasks=("overall_survival",))
    arms = {**result.tasks["overall_survival"], "cox": {"c_index": summarise([math.nan, math.nan])}}
    result.model_copy(update={"tasks": {"overall_survival": arms}}).write(tmp_path / "result.json")
    text = (tmp_path / "result.json").read_text()
    assert "NaN" not in text
    written = json.loads(text)["tasks"]["overall_survival"]
    assert written["cox"]["c_index"] == {
        "mean": None,
        "sd": None,
        "per_fold": [None, None],
        "groups": {},
        "interval": [None, None],
    }
    assert set(written["federated"]["c_index"]) == set(MetricSummary.model_fields)


def test_a_write_that_fails_leaves_the_old_file(
    make_result: MakeResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result.json"
    make_result(sites=1).write(path)
    before = path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as failed:
        make_result(sites=3).write(path)
    assert failed.value.errno == errno.ENOSPC
    assert path.read_text() == before


def test_another_schema_version_is_refused(make_result: MakeResult, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    make_result(sites=1).write(path)
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ValidationError) as refused:
        SimulationResult.read(path)
    assert [error["loc"] for error in refused.value.errors()] == [("schema_version",)]


def test_arms_keep_their_order_whatever_order_they_ran_in(make_result: MakeResult) -> None:
    result = make_result(tasks=("overall_survival",))
    turned = dict(reversed(result.tasks["overall_survival"].items()))
    arms = result.model_copy(update={"tasks": {"overall_survival": turned}}).arms("overall_survival")
    assert arms == ["federated", "local", "pooled", "cox", "forest", "mlp"]


def test_the_machine_is_described_without_a_name_or_a_path() -> None:
    import platform

    described = machine()
    assert described.cores >= 1
    assert described.python == platform.python_version()
    assert platform.node() not in described.model_dump().values()
    assert str(Path.cwd()) not in described.model_dump_json()
    assert str(Path.home() / "") not in described.model_dump_json()


@pytest.mark.parametrize(
    ("mean", "interval", "text"),
    [
        (0.6714, (0.64, 0.702), "0.671 (0.640 to 0.702)"),
        (0.6714, (None, None), "0.671"),
        (None, (0.64, 0.702), "—"),
    ],
)
def test_figures_are_printed_with_three_decimals(
    mean: float | None, interval: tuple[float | None, float | None], text: str
) -> None:
    assert interval_text(mean, interval) == text
