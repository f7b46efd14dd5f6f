"""A card gives no figure without the noise in it."""

import pytest

from common.release.card import MOST_NOISE, NOT_MEASURED, Card, CardTask


def card(*tasks: CardTask, loss: float | None = 0.5, noise: float | None = None) -> Card:
    return Card(
        federation="test",
        run="run",
        ended="2026-11-21T10:15:00+00:00",
        hospitals=("one",),
        records=30,
        unit="patients",
        rounds=3,
        kept_round=2,
        validation_loss=loss,
        private=False,
        inputs={"clinical": 2},
        tasks=tasks,
        validation_noise=noise,
    )


@pytest.mark.parametrize("noise", [None, 0.0])
def test_a_figure_without_noise_stands_alone(noise: float | None) -> None:
    assert CardTask(name="a", concordance=0.7, pairs=9, noise=noise).said == "0.70"
    assert card(noise=noise).said_loss == "0.5"


def test_a_figure_with_noise_names_it() -> None:
    task = CardTask(name="a", concordance=0.7, pairs=9, noise=0.06)
    assert all(number in task.said for number in ("0.70", "± 0.06"))
    assert all(number in card(noise=0.04).said_loss for number in ("0.5", "± 0.04"))
    assert task.said in "\n".join(card(task).lines())


def test_a_figure_that_noise_covers_is_not_shown() -> None:
    task = CardTask(name="a", concordance=0.98, pairs=9, noise=MOST_NOISE * 2)
    assert "0.98" not in "\n".join(card(task, noise=0.4).lines())
    assert "0.5" not in card(noise=0.4).said_loss


def test_a_card_of_an_earlier_version_is_read() -> None:
    names = {"validated", "validation_noise", "software"}
    earlier = card(CardTask(name="a")).model_dump_json(exclude={*names, "tasks"})
    read = Card.model_validate_json(earlier[:-1] + ',"tasks":[{"name":"a","concordance":null,"pairs":0}]}')
    assert read == card(CardTask(name="a"))
    assert read.tasks[0].said == NOT_MEASURED
