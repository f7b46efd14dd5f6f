"""Plans of noise and the audit, called from Python."""

import pytest

import consilium
from common.errors import InputError


def test_plans_come_in_order_and_keep_to_their_epsilon() -> None:
    plans = consilium.plan_privacy(patients=200, epsilons=[8, 1], rounds=10)
    assert [plan.target for plan in plans] == [1, 8]
    assert all(plan.spent.epsilon <= plan.target for plan in plans)
    assert plans[0].privacy.noise_multiplier > plans[1].privacy.noise_multiplier
    with pytest.raises(InputError):
        consilium.plan_privacy(delta=2)


def test_an_audit_too_small_for_figures_is_refused() -> None:
    with pytest.raises(InputError):
        consilium.audit(models=1)
