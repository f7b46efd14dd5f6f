"""Every cohort by name: lung always, the public data where they are."""

import shutil
import subprocess
import sys
import zlib
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import InputError, InvalidContentError, MissingFileError, OptionError
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import DATA_VARIABLE, default_data, is_known, write_cohort

DATA = default_data()
REASON = "public data are not here: set CONSILIUM_DATA to their folder"
needs_data = pytest.mark.skipif(DATA is None, reason=REASON)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The public data with every 40th molecular column: enough to count patients by."""
    assert DATA is not None
    narrow = tmp_path_factory.mktemp("narrow")
    for folder in (path for path in DATA.iterdir() if path.is_dir()):
        if not folder.name.startswith("tcga"):
            (narrow / folder.name).symlink_to(folder)
            continue
        for file in (path for path in folder.rglob("*") if path.is_file()):
            copy = narrow / file.relative_to(DATA)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if file.suffix == ".parquet":
                kept = [name for name in pq.read_schema(file).names if is_kept(name)]
                pq.write_table(pq.read_table(file, columns=kept), copy)
            else:
                shutil.copyfile(file, copy)
    return narrow


def is_kept(column: str) -> bool:
    return column == "case_id" or zlib.crc32(column.encode()) % 40 == 0


def written(name: str, out: Path, data: Path | None = DATA) -> tuple[Federation, list[Cohort]]:
    write_cohort(name, data, out, seed=0)
    federation = load(out / FILE_NAME)
    cohorts = [read_cohort(site, federation) for site in find_sites(out)]
    assert {cohort.site for cohort in cohorts} == {part.name for part in federation.participants}
    return federation, cohorts


def patients(cohorts: list[Cohort]) -> tuple[int, int]:
    return sum(len(cohort.batch) for cohort in cohorts), len(cohorts)


def all_folds(cohorts: list[Cohort]) -> list[int]:
    return sorted(set(torch.cat([cohort.fold for cohort in cohorts]).tolist()))


def test_lung_without_any_data_folder(tmp_path: Path) -> None:
    write_cohort("lung", None, tmp_path / "lung")
    federation = load(tmp_path / "lung" / FILE_NAME)
    cohorts = [read_cohort(site, federation) for site in find_sites(tmp_path / "lung")]
    assert patients(cohorts) == (228, 10)
    assert sum(float(cohort.batch.labels["survival"][:, 1].sum()) for cohort in cohorts) == 165
    assert min(len(cohort.batch) for cohort in cohorts) == 13
    events = [cohort.batch.labels["survival"][cohort.fold == 0, 1] for cohort in cohorts]
    assert float(torch.cat(events).mean()) == pytest.approx(165 / 228, abs=0.08)
    assert all_folds(cohorts) == [0, 1, 2, 3, 4]


@needs_data
@pytest.mark.parametrize(
    ("name", "count", "sites", "folds"),
    [
        ("fed-heart", 740, 4, [-1, 0]),
        ("fed-tcga-brca", 1088, 6, [-1, 0]),
        ("ici", 2881, 5, [0, 1, 2, 3, 4]),
        ("cdisc", 254, 17, [0, 1, 2, 3, 4]),
        ("tcga-brca", 956, 11, [0, 1, 2, 3, 4]),
        ("tcga-pan5", 2831, 21, [0, 1, 2, 3, 4]),
    ],
)
def test_public_cohort_has_its_published_patients_and_sites(
    name: str, count: int, sites: int, folds: list[int], narrow: Path, tmp_path: Path
) -> None:
    federation, cohorts = written(name, tmp_path / name, narrow)
    assert patients(cohorts) == (count, sites)
    assert all_folds(cohorts) == folds
    for task in federation.tasks:
        assert any(cohort.batch.labelled[task.name].any() for cohort in cohorts)
    for modality in federation.modalities:
        assert any(cohort.batch.present(modality.name).any() for cohort in cohorts)


@needs_data
def test_published_test_sets_of_flamby(tmp_path: Path) -> None:
    _, heart = written("fed-heart", tmp_path / "heart")
    assert {cohort.site: int((cohort.fold == 0).sum()) for cohort in heart} == {
        "cleveland": 104,
        "hungarian": 89,
        "switzerland": 16,
        "va": 45,
    }
    chol = {cohort.site: bool(cohort.batch.observed["clinical"][:, 2].any()) for cohort in heart}
    assert chol == {"cleveland": True, "hungarian": True, "switzerland": False, "va": True}
    _, brca = written("fed-tcga-brca", tmp_path / "brca")
    deaths = {cohort.site: int(cohort.batch.labels["survival"][cohort.fold == 0, 1].sum()) for cohort in brca}
    assert deaths == {"Northeast": 14, "South": 4, "West": 8, "Midwest": 3, "Europe": 2, "Canada": 1}


@needs_data
def test_blood_values_filled_in_for_a_whole_cohort_are_missing(tmp_path: Path) -> None:
    federation, cohorts = written("ici", tmp_path / "ici")
    albumin = federation.modality("blood").columns.index("Albumin")
    seen: Counter[str] = Counter()
    for cohort in cohorts:
        for group, known in zip(cohort.group, cohort.batch.observed["blood"][:, albumin], strict=True):
            seen[group] += int(known)
    assert seen["Ravi_NSCLC"] == seen["Kato_panCancer"] == 0
    assert seen["Chowell_train"] == 964


@needs_data
def test_toxicity_features_are_known_at_baseline(tmp_path: Path) -> None:
    federation, _ = written("cdisc", tmp_path / "cdisc")
    (task,) = federation.tasks
    assert isinstance(task, ToxicityTask)
    assert len(task.labels) == 12
    assert not any(
        name.startswith(("ae", "disc", "dis", "dsra"))
        for modality in federation.modalities
        for name in (column.lower() for column in (*modality.columns, *modality.categories))
    )


@needs_data
def test_tcga_lung_adenocarcinoma_has_response_images_and_a_prior(tmp_path: Path) -> None:
    federation, cohorts = written("tcga-luad", tmp_path / "luad")
    assert [type(task) for task in federation.tasks] == [SurvivalTask, ResponseTask]
    names = [modality.name for modality in federation.modalities]
    assert names == ["clinical", "rna", "copy_number", "mutation", "imaging"]
    answers = torch.cat([cohort.batch.labels["response"][:, 0] for cohort in cohorts])
    known = torch.cat([cohort.batch.labelled["response"][:, 0] for cohort in cohorts])
    assert 300 < int(known.sum()) < 400
    assert 0.6 < float(answers[known].mean()) < 0.9
    rna = torch.cat([cohort.batch.values["rna"] for cohort in cohorts])
    assert float(rna.abs().max()) == 5
    assert 0.5 < float(rna.std()) < 1.5
    genes = {column for name in names[1:4] for column in federation.modality(name).columns}
    for name, columns in (("edges", ["a", "b"]), ("pathways", ["gene"])):
        table = pd.read_csv(tmp_path / "luad" / "prior" / f"{name}.csv", keep_default_na=False)
        assert set(table[columns].to_numpy().ravel()) <= genes
    sizes = pd.read_csv(tmp_path / "luad" / "prior" / "pathways.csv").groupby("pathway").size()
    assert sizes.min() >= 8
    assert 100 <= len(sizes) <= 200


def test_unknown_cohort_and_missing_data_are_told_with_a_remedy(tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = tmp_path / "flamby_heart" / "fed_heart_disease.csv"
    cases: list[tuple[str, Path | None, type[InputError], str, str]] = [
        ("mnist", tmp_path, OptionError, "cohort mnist", "synthetic, lung"),
        ("fed-heart", None, OptionError, "cohort fed-heart", DATA_VARIABLE),
        ("fed-heart", tmp_path / "no", MissingFileError, str(tmp_path / "no"), DATA_VARIABLE),
        ("fed-heart", tmp_path, MissingFileError, str(table), DATA_VARIABLE),
        ("tcga-brca", tmp_path, OptionError, "cohort tcga-brca", "--data"),
        ("tcga-pan5", tmp_path, InvalidContentError, f"{tmp_path / 'tcga'}, column hospital_pan5", ""),
    ]
    for name, data, kind, where, remedy in cases:
        with pytest.raises(kind) as refused:
            write_cohort(name, data, out)
        assert refused.value.where == where
        assert remedy in refused.value.remedy
    table.parent.mkdir()
    table.write_text("age,trestbps\n1,2\n")
    with pytest.raises(InvalidContentError) as refused:
        write_cohort("fed-heart", tmp_path, out)
    assert refused.value.where == f"{table}, column chol"
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("tcga-brca", True),
        ("tcga-BRCA", True),
        ("tcga-brca_her2", True),
        ("tcga-", False),
        ("tcga-../x", False),
        ("TCGA-brca", False),
    ],
)
def test_a_cancer_is_named_as_its_folder(name: str, known: bool) -> None:
    assert is_known(name) == known


def test_default_data_is_the_named_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSILIUM_DATA", str(tmp_path))
    assert default_data() == tmp_path


def test_names_are_listed_without_loading_pandas() -> None:
    code = (
        "import sys, simulations.cohorts.sources; sys.exit('pandas' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
