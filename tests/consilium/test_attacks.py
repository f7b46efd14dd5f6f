"""The audit, called from Python."""

import pytest

import consilium
from common.errors import InputError


def test_an_audit_too_small_for_figures_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        consilium.audit(models=1)
    assert refused.value.where == "models"
