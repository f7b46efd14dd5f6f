import pytest
import torch

from simulations.benchmarks.measuring.reference import of_cohort
from simulations.benchmarks.training_step import networks
from simulations.benchmarks.training_step.networks import NETWORKS, REFERENCE, Loss, Step, workload

STEP = networks._step


@pytest.mark.parametrize("network", NETWORKS)
def test_a_step_of_every_network_lowers_the_loss(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    losses: list[float] = []

    def watched(model: torch.nn.Module, patients: int, loss: Loss) -> Step:
        def noted() -> torch.Tensor:
            value = loss()
            losses.append(float(value.detach().mean()))
            return value

        return STEP(model, patients, noted)

    monkeypatch.setattr(networks, "_step", watched)
    step = NETWORKS[network](of_cohort("synthetic", None, 8), torch.device("cpu"))
    for _ in range(8):
        step()
    assert losses[-1] < losses[0]


def test_the_reference_is_that_of_a_large_study() -> None:
    assert {name: own.shape[1] for name, own in workload(REFERENCE, None, 4).batch.values.items()} == {
        "clinical": 32,
        "rna": 1000,
        "protein": 300,
        "imaging": 4096,
    }
