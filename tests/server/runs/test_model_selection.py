import numpy as np
import pytest
from flwr.app import ArrayRecord

from server.aggregation.model_exchange import packed
from server.aggregation.scores import Losses, SiteLoss
from server.runs.model_selection import Selection


def losses_of(honest: float, lie: float | None) -> Losses:
    """Losses of 20 hospitals alike, and of one that lies."""
    sites = {str(number): SiteLoss(honest, 0.1, 10.0) for number in range(20)}
    return sites if lie is None else sites | {"liar": SiteLoss(lie, 0.1, 10.0)}


def weights(number: int) -> ArrayRecord:
    return packed({"a": np.full(1, number, np.float32)})


FALLING_THEN_RISING = (1.0, 0.9, 0.8, 0.7, 0.8, 0.9, 1.0)


@pytest.mark.parametrize(
    "lies",
    [
        (None,) * 7,
        (0.0, 9e5, 9e5, 9e5, 9e5, 9e5, 9e5),
        (9e5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        (0.7, 0.8, 0.9, 1.0, 0.9, 0.8, 0.7),
        (9e5, 9e5, 9e5, 9e5, 9e5, 9e5, 0.0),
    ],
)
def test_one_hospital_of_21_neither_chooses_the_round_nor_ends_the_run(lies: tuple[float | None]) -> None:
    selection = Selection(weights(0))
    for number, (honest, lie) in enumerate(zip(FALLING_THEN_RISING, lies, strict=True)):
        selection.offer(weights(number), number, honest, 0.03, losses_of(honest, lie))
    assert (selection.round, selection.loss, selection.waited) == (3, 0.7, 3)


def test_rounds_in_which_no_hospital_tells_a_loss_are_not_kept_after_one_that_did() -> None:
    selection = Selection(weights(0))
    selection.offer(weights(0), 0)
    selection.offer(weights(1), 1)
    assert selection.round == 1
    selection.offer(weights(2), 2, 1.0, 0.0, losses_of(1.0, None))
    selection.offer(weights(3), 3)
    assert (selection.round, selection.waited) == (2, 1)
