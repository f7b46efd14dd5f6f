import math
import re

import pytest
from pydantic import TypeAdapter, ValidationError
from torch import nn

from common.agreed import RESERVED, Name
from common.agreement.modalities import Modality, Plausible


def test_reserved_are_the_attributes_of_a_module_dict_and_the_table_of_outcomes() -> None:
    attributes = {name for name in dir(nn.ModuleDict()) if re.fullmatch(r"[a-z][a-z0-9_]*", name)}
    assert {*attributes, "outcomes"} == RESERVED


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Name).validate_python(name)


def test_a_name_that_only_begins_like_a_reserved_one_is_free() -> None:
    nn.ModuleDict({TypeAdapter(Name).validate_python("type_of_tumour"): nn.Identity()})


@pytest.mark.parametrize("ends", [(5.0, 5.0), (5.0, -5.0)])
def test_ends_are_a_low_and_a_higher_one(ends: tuple[float, float]) -> None:
    with pytest.raises(ValidationError):
        Plausible(low=ends[0], high=ends[1])
    with pytest.raises(ValidationError):
        Modality(name="rna", node="gene", columns=("G1",), clip=ends)


def test_actionable_columns_have_a_plausible_range() -> None:
    parts: dict[str, object] = {"name": "clinical", "node": "clinical", "columns": ("age", "bmi")}
    parts |= {"categories": {"smoking": ("no", "yes")}, "ranges": {"bmi": Plausible(low=10, high=80)}}
    made = Modality.model_validate(parts | {"actionable": ("bmi", "smoking")})
    assert made.range_of("bmi") == (10, 80)
    for wrong in (("age",), ("weight",), ("bmi", "bmi")):
        with pytest.raises(ValidationError):
            Modality.model_validate(parts | {"actionable": wrong})
    open_ended = parts | {"ranges": {"bmi": Plausible(low=10)}, "actionable": ("bmi",)}
    with pytest.raises(ValidationError):
        Modality.model_validate(open_ended)


def test_a_value_is_transformed_and_then_clipped() -> None:
    modality = Modality(name="x", node="imaging", columns=("a",), transform="signed_log", clip=(-2, 2))
    values = [modality.transformed(value) for value in (-1.0, 0.0, 1.0, 100.0)]
    assert values == pytest.approx([-math.log(2), 0, math.log(2), 2])
