from collections.abc import Iterator

import pytest
import torch

from client.training.threads import BYTES_PER_THREAD as THREAD
from client.training.threads import use_threads, worthwhile
from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("kept", "most", "used"),
    [
        (0, 8, 1),
        (THREAD - 1, 8, 1),
        (3 * THREAD, 8, 3),
        (99 * THREAD, 8, 8),
        (9 * THREAD, 1, 1),
    ],
)
def test_threads_grow_with_the_step_up_to_those_there_are(kept: int, most: int, used: int) -> None:
    assert worthwhile(kept, most) == used


def test_a_small_model_has_one_and_the_environment_the_last_word(
    federation: Federation, prior: Prior, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HierarchicalMultimodalGNN(federation, prior)
    torch.set_num_threads(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    use_threads(model, 16)
    assert torch.get_num_threads() == 2
    monkeypatch.delenv("OMP_NUM_THREADS")
    use_threads(model, 16)
    assert torch.get_num_threads() == 1


def test_a_large_step_has_all(federation: Federation, prior: Prior, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    use_threads(HierarchicalMultimodalGNN(federation, prior), THREAD)  # more than a byte per patient
    assert torch.get_num_threads() == 2
