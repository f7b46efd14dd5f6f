"""Accountants on their own give Opacus' figures, in a process that imports no more than they need."""

import subprocess
import sys
from typing import Any

import pytest
from opacus.accountants import PRVAccountant, RDPAccountant
from opacus.accountants.accountant import IAccountant

from common.privacy.accountants import accountant

HISTORY = [(1.1, 0.1, 30), (5.0, 1.0, 1)]


@pytest.mark.parametrize("theirs", [RDPAccountant, PRVAccountant])
def test_figures_are_those_of_opacus(theirs: type[IAccountant]) -> None:
    whole, alone = theirs(), accountant(theirs.__name__)
    assert alone.history == whole.history == []
    whole.history, alone.history = HISTORY, HISTORY
    assert alone.get_epsilon(delta=1e-3) == whole.get_epsilon(delta=1e-3)
    assert not isinstance(alone, IAccountant)


def test_moments_of_a_step_are_computed_once_for_any_number_of_steps_and_both_accountants() -> None:
    def computed(name: str, steps: int) -> int:
        alone = accountant(name)
        moments: Any = sys.modules["_opacus_accountants.analysis.rdp"]._compute_rdp.cache_info
        before: int = moments().misses
        alone.history = [(1.23, 0.1, steps)]
        alone.get_epsilon(delta=1e-3)
        return int(moments().misses) - before

    assert computed("RDPAccountant", 1) > 100
    assert computed("RDPAccountant", 7) == computed("PRVAccountant", 7) == 0


def test_neither_torch_nor_the_rest_of_opacus_is_imported() -> None:
    program = """
import sys
from typing import Any
from common.privacy.accounting import Release, spend
assert spend([Release(mechanism="training", noise_multiplier=2.0, sampling_rate=0.1)], 1e-3).prv > 0
print(sorted({"torch", "opacus"} & {*sys.modules}))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
