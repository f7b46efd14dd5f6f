"""Member of a release about structure: made of all hospitals' sums, and refused where it does not fit."""

import numpy as np
import pytest
from safetensors.numpy import load, save

from common.errors import InvalidContentError
from common.structure import figures
from common.structure.content import read_structure
from common.structure.limits import Check
from common.structure.plan import DIRECTIONS
from common.structure.site_sums import start_signs
from tests.common.structure import made


def test_directions_equal_those_of_pooled_centred_patients() -> None:
    hospitals, federation = made.hospitals(), made.federation()
    products = np.zeros((90, DIRECTIONS))
    for name in ("one", "two"):  # the third has too few patients for products
        values = hospitals[name].values["rna"].double().numpy()
        centred = values - values.mean(0)
        products += centred.T @ (centred @ start_signs(federation, federation.modality("rna")))
    pooled, found = figures.basis(products), made.structure().directions["rna"]
    assert found @ found.T == pytest.approx(pooled @ pooled.T, abs=1e-5)
    copies = made.all_of(list(hospitals.values()), "copies")
    assert made.structure().centers["copies"] == pytest.approx(copies.mean(0), abs=1e-6)


def test_the_same_hospitals_give_the_same_bytes() -> None:
    assert made.learnt() == made.learnt()


def test_limits_are_made_for_what_the_tables_can_tell() -> None:
    limits = {(limit.check, limit.modalities) for limit in made.structure().limits}
    assert {(Check.STRUCTURE, ("rna",)), (Check.STRUCTURE, ("copies",))} < limits
    assert {(Check.AGREEMENT, ("rna", "protein")), (Check.SIZE, ("rna",))} < limits
    assert (Check.SIZE, ("copies",)) not in limits


def test_hospitals_that_can_tell_nothing_make_no_member() -> None:
    assert made.learnt({"one": made.patients(3, 1)}) is None
    assert made.learnt({}) is None


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape", "not finite", "check", "none"])
def test_a_member_of_another_form_is_refused(fault: str) -> None:
    content = made.learnt()
    assert content is not None
    arrays = load(content)
    if fault == "missing":
        del arrays["directions:rna"]
    elif fault == "unknown":
        arrays["directions:other"] = arrays["directions:rna"]
    elif fault == "shape":
        arrays["center:copies"] = arrays["center:copies"][1:]
    elif fault == "not finite":
        arrays["center:copies"] = arrays["center:copies"] + np.float32("nan")
    elif fault == "check":
        arrays["limit:smell:rna"] = np.zeros(7)
    damaged = b"none" if fault == "none" else save(arrays)
    with pytest.raises(InvalidContentError):
        read_structure(damaged, made.federation(), "release.zip")
