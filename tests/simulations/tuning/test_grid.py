from collections.abc import Callable

import pytest

from common.agreement.federation import Federation
from common.errors import InputError, InvalidContentError, OptionError
from simulations.tuning.grid import candidates, parse_over


@pytest.fixture
def federation(federation: Federation) -> Federation:
    """A federation whose settings are all stated, as those of a plan."""
    return federation.changed({"training.linear_rounds": "1"})


OVER = {"training.learning_rate": ("0.001", "0.003"), "model.dropout": ("0.1", "0.3", "0.5")}


def test_settings_and_values_are_read_from_texts() -> None:
    assert parse_over(["a.b=1, 2,1", "c.d=x"]) == {"a.b": ("1", "2"), "c.d": ("x",)}


@pytest.mark.parametrize("texts", [["a.b"], ["=1"], ["a.b="], ["a.b=1,,2"], ["a.b=1", "a.b=2"]])
def test_a_text_of_another_form_is_refused(texts: list[str]) -> None:
    with pytest.raises(OptionError) as error:
        parse_over(texts)
    assert error.value.where.startswith("--over ")


def test_a_grid_has_every_combination_but_the_file_itself(federation: Federation) -> None:
    base = federation.changed({"training.learning_rate": "0.003", "model.dropout": "0.3"})
    tried = candidates(base, OVER)
    assert [tuple(candidate.changes.values()) for candidate in tried] == [
        ("0.001", "0.1"),
        ("0.001", "0.3"),
        ("0.001", "0.5"),
        ("0.003", "0.1"),
        ("0.003", "0.5"),
    ]
    for candidate in tried:
        assert candidate.agreement == base.changed(dict(candidate.changes))
        assert candidate.seeded(7) == candidate.agreement.changed({"training.seed": "7"})


def test_equal_settings_in_other_words_are_tried_once(federation: Federation) -> None:
    over = {"training.learning_rate": ("0.01", "1e-2", "0.010")}
    assert [candidate.changes for candidate in candidates(federation, over)] == [
        {"training.learning_rate": "0.01"}
    ]


def test_a_budget_draws_settings_at_random_in_the_order_of_the_grid(federation: Federation) -> None:
    whole = [candidate.changes for candidate in candidates(federation, OVER)]

    def drawn(seed: int, budget: int = 3) -> list[object]:
        base = federation.changed({"training.seed": str(seed)})
        return [candidate.changes for candidate in candidates(base, OVER, budget)]

    draws = [drawn(seed) for seed in range(8)]
    assert all(len(draw) == 3 and draw == [point for point in whole if point in draw] for draw in draws)
    assert draws == [drawn(seed) for seed in range(8)]
    assert len({str(draw) for draw in draws}) > 1
    assert drawn(0, budget=100) == whole


@pytest.mark.parametrize(
    ("over", "kind"),
    [
        ({}, OptionError),
        ({"training.epochs": ("1",)}, OptionError),
        ({"training.seed": ("1", "2")}, OptionError),
        ({"minimum_patients": ("1", "2")}, OptionError),
        ({"training.batch_size": ("0",)}, InvalidContentError),
        ({"training.rounds": tuple(map(str, range(1, 400))), "training.patience": ("1",) * 400}, OptionError),
    ],
)
def test_what_cannot_be_searched_over_is_named_by_the_option(
    make_federation: Callable[..., Federation], over: dict[str, tuple[str, ...]], kind: type[InputError]
) -> None:
    with pytest.raises(kind) as error:
        candidates(make_federation(), over)
    assert error.value.where.startswith("--over")


def test_a_grid_of_the_file_alone_is_nothing_to_search(federation: Federation) -> None:
    with pytest.raises(OptionError):
        candidates(federation, {"training.rounds": (str(federation.training.rounds),)})
