"""One hospital's synthetic patients and a model that trains in no time."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load
from common.patients.batch import PatientBatch
from common.patients.preprocessing import combine, site_statistics
from simulations.cohorts.synthetic import write_synthetic


@dataclass(frozen=True)
class Hospital:
    federation: Federation
    folder: Path
    patients: PatientBatch
    cuts: dict[str, torch.Tensor]


@pytest.fixture(scope="session")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    folder = tmp_path_factory.mktemp("audit") / "cohort"
    write_synthetic(
        folder,
        sites=1,
        patients=60,
        genes=40,
        proteins=10,
        clinical=4,
        imaging=4,
        shift=0,
        lacking=0,
        seed=1,
    )
    settings = {"model.node_width": "4", "model.pathway_width": "4", "model.width": "8", "model.heads": "2"}
    federation = load(folder / FILE_NAME).changed({**settings, "training.rounds": "2"})
    batch = read_cohort(next(folder.glob("*/site.toml")).parent, federation).batch
    preprocessing = combine([site_statistics(batch, federation)], federation)
    return Hospital(federation, folder, preprocessing.apply(batch), preprocessing.cuts)
