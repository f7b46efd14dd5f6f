"""Run whose weights were drawn, for benchmarks that judge a trained model."""

import shutil
from pathlib import Path

import torch

from common.agreement.federation import FILE_NAME, load
from common.families.patients import FAMILY
from common.patients.preprocessing import pack_preprocessing
from server.records.result import TrainedModel, save_result


def drawn_run(cohort: Path, folder: Path, deviation: float) -> Path:
    """Write a run of a cohort: first weights, moved by normal numbers of this standard deviation."""
    shutil.copytree(cohort, folder, ignore=shutil.ignore_patterns("hospital-*"))
    federation = load(folder / FILE_NAME)
    model = FAMILY.model(federation, FAMILY.public(federation, folder), 0)
    draw = torch.Generator().manual_seed(0)
    weights = {
        name: (tensor + deviation * torch.randn(tensor.shape, generator=draw)).numpy()
        for name, tensor in model.state_dict().items()
    }
    save_result(folder, TrainedModel(weights, dict(pack_preprocessing(FAMILY.declared(federation)))))
    return folder
