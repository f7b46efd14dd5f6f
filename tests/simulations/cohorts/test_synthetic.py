from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lifelines.utils import concordance_index

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, load
from simulations.cohorts.folders import find_sites
from simulations.cohorts.synthetic import CENSORED, write_synthetic


def cohorts(folder: Path) -> list[Cohort]:
    federation = load(folder / FILE_NAME)
    return [read_cohort(site, federation) for site in find_sites(folder)]


def test_labels_follow_the_true_risk(tmp_path: Path) -> None:
    truth = write_synthetic(tmp_path / "a", sites=5, patients=200, seed=1)
    batches = cohorts(tmp_path / "a")
    risk = np.concatenate([truth.risk[cohort.site] for cohort in batches])
    survival = torch.cat([cohort.batch.labels["survival"] for cohort in batches]).numpy()
    known = torch.cat([cohort.batch.labelled["survival"][:, 0] for cohort in batches]).numpy()
    assert concordance_index(survival[known, 0], -risk[known], survival[known, 1]) > 0.75
    assert 1 - survival[known, 1].mean() == pytest.approx(CENSORED, abs=0.03)
    response = torch.cat([cohort.batch.labels["response"][:, 0] for cohort in batches]).numpy()
    assert risk[response == 1].mean() < risk[response == 0].mean() - 0.5
    assert abs(risk.mean()) < 1e-9


def test_clinical_part_of_the_risk_can_be_computed_from_the_tables(tmp_path: Path) -> None:
    truth = write_synthetic(
        tmp_path / "a", sites=3, patients=50, genes=8, proteins=0, imaging=0, shift=0, lacking=0
    )
    frames = {site.name: pd.read_csv(site / "clinical.csv") for site in find_sites(tmp_path / "a")}
    columns = [f"clinical_{number + 1}" for number in range(6)]
    part = pd.concat(frames.values())[columns].fillna(60).to_numpy() / 10 @ truth.clinical
    assert np.corrcoef(part, np.concatenate([truth.risk[name] for name in truth.risk]))[0, 1] > 0.3
    assert {modality.name for modality in load(tmp_path / "a" / FILE_NAME).modalities} == {
        "clinical",
        "rna",
        "copy_number",
        "mutation",
    }


def test_sites_lack_modalities_and_cells_but_every_modality_is_somewhere(tmp_path: Path) -> None:
    write_synthetic(tmp_path / "a", sites=20, patients=20, lacking=0.5, seed=2)
    batches = [cohort.batch for cohort in cohorts(tmp_path / "a")]
    for modality in ("rna", "protein", "copy_number", "mutation", "imaging"):
        having = [batch for batch in batches if batch.present(modality).any()]
        assert 3 <= len(having) <= 17
        observed = torch.cat([batch.observed[modality] for batch in having]).float().mean()
        assert 0.9 < float(observed) < 0.99
    for task in ("survival", "response", "toxicity"):
        assert 0.85 < float(torch.cat([batch.labelled[task] for batch in batches]).float().mean()) < 0.99
    assert all(batch.present("clinical").all() for batch in batches)


def test_shift_is_the_spread_of_site_means(tmp_path: Path) -> None:
    def spread(shift: float) -> float:
        folder = tmp_path / str(shift)
        write_synthetic(folder, sites=30, patients=40, shift=shift, lacking=0)
        means = [cohort.batch.values["imaging"].mean(0) for cohort in cohorts(folder)]
        return float(torch.stack(means).std(0).mean())

    assert spread(1.0) > 2 * spread(0.0)


def test_same_seed_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_synthetic(tmp_path / name, sites=2, patients=12, seed=seed)
    one, same, other = (cohorts(tmp_path / name)[0] for name in "abc")
    assert load(tmp_path / "a" / FILE_NAME).digest == load(tmp_path / "b" / FILE_NAME).digest
    assert torch.equal(one.batch.values["clinical"], same.batch.values["clinical"])
    assert torch.equal(one.fold, same.fold)
    assert not torch.equal(one.batch.values["clinical"], other.batch.values["clinical"])
