"""Cancers nobody has seen yet, dropped into the published layout."""

from pathlib import Path

import numpy as np
import pandas as pd

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, load
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import write_cohort


def drop_cancer(data: Path, cancer: str, genes: dict[str, list[str]], pan: bool = True) -> None:
    """A cancer of 60 patients at three hospitals, with the tables that have genes."""
    folder = data / "tcga" / cancer
    folder.mkdir(parents=True)
    rng = np.random.default_rng(len(cancer))
    patients = [f"{cancer}-{number}" for number in range(60)]
    clinical = pd.DataFrame({"case_id": patients, "cancer": cancer.upper(), "tss": "NA"})
    clinical["age"] = np.where(np.arange(60) < 5, np.nan, 60)
    clinical["is_female"] = 1.0
    clinical["oncotree_code"] = np.where(np.arange(60) < 52, "MAIN", "RARE")
    clinical["survival_months"], clinical["event"] = rng.exponential(30, 60), rng.integers(0, 2, 60)
    clinical["val_fold"], clinical["hospital"] = np.arange(60) % 5, np.repeat(["A", "B", "NA"], 20)
    if pan:
        clinical["hospital_pan5"] = np.repeat(["A", "C"], 30)
    clinical.to_csv(folder / "clinical.csv", index=False)
    files = {"rna": ("rnaseq_x1e4", 12_000), "mutation": ("mut", 1), "copy_number": ("cnv", 1)}
    for name, columns in genes.items():
        stem, factor = files[name]
        table = pd.DataFrame(rng.integers(0, 2, (60, len(columns))) * factor, columns=columns)
        table.insert(0, "case_id", patients)
        table.to_parquet(folder / f"{stem}.parquet", index=False)


def test_single_cancer_without_rna_prior_or_second_level(tmp_path: Path) -> None:
    drop_cancer(tmp_path, "zzz", {"mutation": ["TP53", "HLA-A", "odd gene.1"], "copy_number": ["TP53"]})
    write_cohort("tcga-zzz", tmp_path, tmp_path / "out")
    federation = load(tmp_path / "out" / FILE_NAME)
    assert [modality.name for modality in federation.modalities] == ["clinical", "mutation"]
    assert federation.modality("clinical").categories == {"is_female": ("0", "1")}
    assert federation.prior.edges is None
    cohorts = [read_cohort(site, federation) for site in find_sites(tmp_path / "out")]
    assert [(cohort.site, len(cohort.batch)) for cohort in cohorts] == [("A", 20), ("B", 20), ("NA", 20)]
    assert set(cohorts[0].group) == {"A"}


def test_several_cancers_share_measured_genes_and_lack_the_others(tmp_path: Path) -> None:
    drop_cancer(tmp_path, "aaa", {"rna": ["G1", "G2", "G3"], "mutation": ["M1", "M2", "M3"]})
    drop_cancer(tmp_path, "bbbb", {"rna": ["G2", "G3", "G4"], "mutation": ["M2", "M1", "M4"]})
    drop_cancer(tmp_path, "cc", {"mutation": ["M4", "M5"]})
    drop_cancer(tmp_path, "elsewhere", {"rna": ["G2"]}, pan=False)
    write_cohort("tcga-pan5", tmp_path, tmp_path / "out")
    federation = load(tmp_path / "out" / FILE_NAME)
    assert set(federation.modality("rna").columns) == {"G2", "G3"}
    assert set(federation.modality("mutation").columns) == {"M1", "M2", "M4"}
    assert federation.modality("clinical").categories["cancer"] == ("AAA", "BBBB", "CC")
    first = read_cohort(tmp_path / "out" / "a", federation)
    assert len(first.batch) == 90
    assert first.group == ("AAA",) * 30 + ("BBBB",) * 30 + ("CC",) * 30
    assert first.batch.present("rna").tolist() == [True] * 60 + [False] * 30
    assert float(first.batch.values["rna"].max()) == np.float32(1.2)
    fourth = list(federation.modality("mutation").columns).index("M4")
    assert first.batch.observed["mutation"][:, fourth].tolist() == [False] * 30 + [True] * 60
