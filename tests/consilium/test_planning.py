"""Plans of noise, made from Python."""

from typing import Any

import pytest

import consilium
from common import extras
from common.errors import InputError


def test_plans_come_in_order_and_keep_to_their_epsilon() -> None:
    plans = consilium.plan_privacy(patients=200, epsilons=[8, 1], rounds=10)
    assert [plan.target for plan in plans] == [1, 8]
    assert all(plan.spent.epsilon <= plan.target for plan in plans)
    assert plans[0].privacy.noise_multiplier > plans[1].privacy.noise_multiplier
    with pytest.raises(InputError):
        consilium.plan_privacy(delta=2)


@pytest.mark.parametrize(
    ("wrong", "where"),
    [({"epsilons": 8}, "epsilons=[8]"), ({"sampling_rate": 2}, "sampling_rate=2"), ({"delta": 2}, "delta=2")],
)
def test_an_error_names_the_keyword(wrong: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as refused:
        consilium.plan_privacy(**wrong)
    assert refused.value.where == where


def test_a_plan_needs_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.EXTRAS, "simulate", ("no_such_module",))
    monkeypatch.delitem(vars(consilium), "plan_privacy", raising=False)
    monkeypatch.delitem(vars(consilium), "audit", raising=False)
    assert consilium.plan_privacy(epsilons=[8])
    with pytest.raises(extras.MissingExtra):
        _ = consilium.audit
