import numpy as np
import pytest
from flwr.app import ArrayRecord

from server.aggregation.model_exchange import packed
from server.aggregation.scores import Losses, SiteLoss, pooled
from server.runs.model_selection import LONGEST, Selection, Validation


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
        told = Validation(honest, 0.03, 0.0, losses_of(honest, lie))
        selection.offer(weights(number), number, told)
    assert (selection.round, selection.loss, selection.waited) == (3, 0.7, 3)


def test_rounds_in_which_no_hospital_tells_a_loss_are_not_kept_after_one_that_did() -> None:
    selection = Selection(weights(0))
    selection.offer(weights(0), 0, Validation())
    selection.offer(weights(1), 1, Validation())
    assert selection.round == 1
    selection.offer(weights(2), 2, Validation(1.0, 0.0, 0.0, losses_of(1.0, None)))
    selection.offer(weights(3), 3, Validation())
    assert (selection.round, selection.waited) == (2, 1)


NOTHING = ArrayRecord()


def kept_of(losses: list[float], error: float, noise: float | None) -> Selection:
    selection = Selection(NOTHING)
    for number, loss in enumerate(losses):
        told = Validation(loss, error, noise, {"a": SiteLoss(loss, error, 10.0)})
        selection.offer(NOTHING, number, told)
    return selection


def test_without_noise_a_single_loss_decides() -> None:
    kept = kept_of([3.0, 1.0, 1.05, 2.0, 2.0], 0.1, 0.0)
    assert (kept.round, pooled(kept.lowest), kept.waited) == (2, 1.0, 2)
    assert kept.recent == ()


def test_noisy_losses_are_averaged_until_their_noise_is_small() -> None:
    kept = kept_of([9.0, 4.0, 2.0, 6.0, 1.0], 0.1, 0.099)  # (2 * 0.099 / 0.1)^2 asks for four rounds
    assert pooled(kept.lowest) == np.mean([4.0, 2.0, 6.0, 1.0])
    assert len(kept_of([1.0] * 30, 0.1, 9.0).recent) == LONGEST


def test_a_lucky_draw_in_an_early_round_does_not_win() -> None:
    losses = [0.0, 4.0, 3.0, *[2.0] * 27]
    assert kept_of(losses, 0.0, 1.6).round == 29
    assert kept_of(losses[:3], 0.0, 1.6).round == 2


def test_noise_hardly_moves_the_round_that_is_kept() -> None:
    """A loss that falls, is lowest in round 15 and rises again, with as much noise as it has error."""
    draw = np.random.default_rng(0)
    true = [1.0 + 0.004 * (number - 15) ** 2 for number in range(40)]
    exact = kept_of(true, 0.1, 0.0).round
    rounds = [kept_of(list(true + 0.1 * draw.normal(size=40)), 0.1, 0.1).round for _ in range(200)]
    assert abs(np.median(rounds) - exact) <= 5
    assert max(rounds) <= exact + 10
