import pytest
import torch

from simulations.benchmarks.measuring.reference import of_cohort
from simulations.benchmarks.training_step.networks import NETWORKS, OURS
from simulations.benchmarks.training_step.step_profile import REST, shares


def test_shares_of_a_step_add_up_and_know_their_operations() -> None:
    found = shares(NETWORKS[OURS](of_cohort("synthetic", None, 8), torch.device("cpu")))
    assert sum(found.values()) == pytest.approx(1)
    assert list(found)[-1] == REST
    assert {"matrix products", "weighted sums over senders", "optimiser"} <= found.keys()


def test_a_product_is_a_product() -> None:
    a = torch.randn(400, 400)
    found = shares(lambda: a @ a)
    assert next(iter(found)) == "matrix products"
    assert found["matrix products"] > 0.5
