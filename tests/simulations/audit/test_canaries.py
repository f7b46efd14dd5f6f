import numpy as np
import torch

from common.agreement.modalities import LARGEST
from common.agreement.privacy_settings import Privacy
from common.models.registry import build_model
from simulations.audit.canaries import make_canaries
from simulations.audit.gradient_attack import clipped_gradients
from tests.simulations.audit.conftest import Hospital


def test_canaries_are_patients_of_the_federation(hospital: Hospital) -> None:
    canaries = make_canaries(hospital.federation, hospital.cuts, 50, np.random.default_rng(0))
    assert len(canaries) == 50
    for modality in hospital.federation.modalities:
        assert (
            canaries.values[modality.name].shape
            == hospital.patients.select(torch.arange(50)).values[modality.name].shape
        )
        assert (canaries.values[modality.name].abs() == LARGEST).all()
        assert canaries.present(modality.name).all()
    for task in hospital.federation.tasks:
        assert canaries.labels[task.name].shape[1] == len(task.columns)
        assert len(canaries.labels[task.name].unique()) > 1
        assert canaries.labelled[task.name].all()


def test_their_gradients_are_large_and_nearly_orthogonal(hospital: Hospital) -> None:
    canaries = make_canaries(hospital.federation, hospital.cuts, 60, np.random.default_rng(0))

    def gradients(clip_norm: float) -> torch.Tensor:
        privacy = Privacy(noise_multiplier=1, sampling_rate=1, expected_batch_size=1, clip_norm=clip_norm)
        agreed = hospital.federation.model_copy(update={"privacy": privacy})
        return clipped_gradients(build_model(agreed, hospital.folder, 0), canaries, agreed, hospital.cuts)

    assert gradients(1e6).norm(dim=1).min() > 5
    clipped = gradients(1.0)
    torch.testing.assert_close(clipped.norm(dim=1), torch.ones(60))
    cosine = (clipped @ clipped.t())[~torch.eye(60, dtype=torch.bool)]
    assert cosine.abs().mean() < 0.15
    assert cosine.abs().max() < 0.7
