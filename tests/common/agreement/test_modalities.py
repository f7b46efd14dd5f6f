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
