"""Values that no option takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.models import OptionInfo

from common.errors import OptionError
from simulations.experiment.option_checks import as_path, check_bounds, check_mapping, check_numbers


@pytest.mark.parametrize("values", [[], (8, 1.5), [np.float64(8), np.int64(1)]])
def test_numbers_may_be_of_any_sequence_and_type(values: Any) -> None:
    check_numbers("--epsilon", values)


@pytest.mark.parametrize("values", [8, "8", None, ["8"], [True]])
def test_anything_but_a_sequence_of_numbers_is_refused(values: Any) -> None:
    with pytest.raises(OptionError) as refused:
        check_numbers("--epsilon", values)
    assert refused.value.where.startswith("--epsilon")


@pytest.mark.parametrize("value", [0, 1.5, True, "3", 10])
def test_a_number_beyond_bounds_is_refused(value: Any) -> None:
    with pytest.raises(OptionError) as refused:
        check_bounds("rounds", value, OptionInfo(min=1, max=9))
    assert refused.value.where == f"--rounds {value}"


def test_a_path_may_be_text_and_settings_are_a_mapping() -> None:
    assert as_path("--out", "out") == as_path("--out", Path("out")) == Path("out")
    with pytest.raises(OptionError):
        as_path("--out", 5)
    with pytest.raises(OptionError):
        check_mapping("--set", ["a=1"])
