import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.model_config import HierarchicalConfig
from common.agreement.prior_graph import PriorGraph
from simulations.benchmarks.field.changes import (
    Change,
    LeftOut,
    only_nodes,
    only_task,
    unchanged,
    with_fewer_labels,
    with_label_noise,
    with_model,
    with_permuted_values,
    with_shuffled_edges,
    without_knowledge,
    without_linear_rounds,
)

SmallCohort = Callable[..., Path]


@pytest.fixture
def cohort(small_cohort: SmallCohort) -> Path:
    return small_cohort(training__linear_rounds="1")


@pytest.fixture
def federation(cohort: Path) -> Federation:
    return load(cohort / FILE_NAME)


def changed(cohort: Path, change: Change, out: Path, seed: int = 0) -> tuple[Federation, Path]:
    """The changed federation as it is read back, and a twin of the first hospital."""
    result = change(load(cohort / FILE_NAME), cohort, seed)
    agreement = result.write(cohort, out / "agreement")
    assert load(agreement.path) == agreement.federation
    return agreement.federation, result.site(cohort / "hospital-1", out / "hospital-1")


def edges(folder: Path) -> list[tuple[str, str]]:
    table = pd.read_csv(folder / "prior" / "edges.csv", dtype=str)
    return [(min(a, b), max(a, b)) for a, b in zip(table.a, table.b, strict=True)]


def test_shuffled_edges_keep_every_degree_and_are_another_agreement(
    cohort: Path, federation: Federation, tmp_path: Path
) -> None:
    after, _ = changed(cohort, with_shuffled_edges, tmp_path)
    before, now = edges(cohort), edges(tmp_path / "agreement")
    assert Counter(node for edge in before for node in edge) == Counter(node for edge in now for node in edge)
    assert {*before} != {*now}
    assert after.digest != federation.digest
    assert after.model_copy(update={"prior": federation.prior}) == federation


def test_other_modalities_are_cut_from_file_and_hospital(cohort: Path, tmp_path: Path) -> None:
    after, site = changed(cohort, only_nodes(["protein"]), tmp_path)
    assert [modality.name for modality in after.modalities] == ["protein"]
    assert set(read_cohort(site, after).batch.values) == {"protein"}


def test_other_tasks_are_cut_with_the_hospitals_names_for_their_columns(cohort: Path, tmp_path: Path) -> None:
    site = cohort / "hospital-1"
    for name, text in (("outcomes.csv", (site / "outcomes.csv").read_text()),):
        (site / name).write_text(text.replace("response", "answer", 1))
    with (site / "site.toml").open("a") as file:
        file.write('\n[columns.outcomes]\nresponse = "answer"\n')
    for task in ("survival", "response"):
        after, twin = changed(cohort, only_task(task), tmp_path / task)
        assert after.task_names == (task,)
        assert set(read_cohort(twin, after).batch.labels) == {task}


def test_values_change_their_nodes_alike_for_all_patients(
    cohort: Path, federation: Federation, tmp_path: Path
) -> None:
    after, site = changed(cohort, with_permuted_values, tmp_path)
    assert after == federation
    before, now = (read_cohort(path, federation).batch for path in (cohort / "hospital-1", site))
    for name in ("rna", "protein"):
        first, second = before.values[name].numpy(), now.values[name].numpy()
        assert not np.array_equal(first, second)
        order = {column.tobytes(): number for number, column in enumerate(first.T.copy())}
        assert sorted(order[column.tobytes()] for column in second.T.copy()) == [*range(first.shape[1])]
    for name in ("clinical", "imaging"):
        np.testing.assert_array_equal(before.values[name].numpy(), now.values[name].numpy())
    again, other = (changed(cohort, with_permuted_values, tmp_path / str(n), n)[1] for n in (0, 1))
    assert (again / "site.toml").read_text() == (site / "site.toml").read_text()
    assert (other / "site.toml").read_text() != (site / "site.toml").read_text()


def test_knowledge_is_removed_with_its_files(cohort: Path, tmp_path: Path) -> None:
    after, _ = changed(cohort, without_knowledge, tmp_path)
    assert after.prior == PriorGraph()
    assert not (tmp_path / "agreement" / "prior").exists()


def test_settings_of_the_model_replace_named_layers_too(cohort: Path, tmp_path: Path) -> None:
    federation = load(cohort / FILE_NAME)
    named = {**federation.model.model_dump(), "layers": ["gat", "gcn"]}
    named = {name: value for name, value in named.items() if name not in ("gcn_layers", "gat_layers")}
    model = HierarchicalConfig.model_validate(named, strict=False)
    save(federation.model_copy(update={"model": model}), cohort / FILE_NAME)
    after, _ = changed(cohort, with_model(gcn_layers=0, gat_layers=2), tmp_path)
    assert HierarchicalConfig.of(after.model).node_layers == ("gat", "gat")
    assert HierarchicalConfig.of(after.model).width == model.width


def test_nothing_else_changes(cohort: Path, federation: Federation, tmp_path: Path) -> None:
    assert changed(cohort, unchanged, tmp_path / "same")[0] == federation
    after, _ = changed(cohort, without_linear_rounds, tmp_path / "network")
    assert after.linear_rounds == 0
    assert after.model_copy(update={"training": federation.training}) == federation


@pytest.mark.parametrize("change", [with_shuffled_edges, without_knowledge, with_permuted_values])
def test_a_cohort_without_edges_has_none_to_change(
    change: Change, federation: Federation, cohort: Path
) -> None:
    with pytest.raises(LeftOut, match=re.escape("prior graph")):
        change(federation.model_copy(update={"prior": PriorGraph()}), cohort, 0)


@pytest.mark.parametrize("change", [with_label_noise(0.5), with_fewer_labels(0.5)])
def test_labels_of_held_out_patients_stay_as_they_are(change: Change, cohort: Path, tmp_path: Path) -> None:
    federation = load(cohort / FILE_NAME)
    result = change(federation, cohort, 3)
    before = read_cohort(cohort / "hospital-1", federation)
    read = read_cohort(result.site(cohort / "hospital-1", tmp_path / "read"), federation)
    run = read_cohort(result.site(cohort / "hospital-1", tmp_path / "run", 2), federation)
    for task in federation.task_names:
        labels, known = before.batch.labels[task], before.batch.labelled[task]
        assert (read.batch.labels[task] == labels).all()
        held = before.fold == 2
        assert (run.batch.labels[task][held] == labels[held]).all()
        assert (run.batch.labelled[task][held] == known[held]).all()
        after = run.batch.labels[task], run.batch.labelled[task]
        assert not ((after[0] == labels).all() and (after[1] == known).all())
        assert int(after[1].sum()) <= int(known.sum())
    for name, values in before.batch.values.items():
        assert (run.batch.values[name] == values).all()
