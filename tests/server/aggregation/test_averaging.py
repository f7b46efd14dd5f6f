"""The average of a round: what it is, and that what waits for it leaves nothing behind."""

from pathlib import Path

import numpy as np
import pytest

from common.models.parameter_groups import AveragingWeights, Counted, ModelGroups, ParameterGroup
from server.aggregation.averaging import Average, Weights, WeightSpill

CURRENT: Weights = {
    "shared.weight": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
    "branches.rna.weight": np.array([10.0, 20.0], np.float32),
    "heads.os.weight": np.array([0.5], np.float32),
    "shared.bias": np.array([7.0], np.float32),
}


def moved(by: float) -> Weights:
    return {name: array + np.float32(by) for name, array in CURRENT.items()}


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_every_group_is_averaged_over_the_hospitals_with_patients_in_it(
    tmp_path: Path, in_memory: int
) -> None:
    rna, head = ParameterGroup("branches.rna", "rna"), ParameterGroup("heads.os", None, "os")
    groups = ModelGroups(
        {
            "shared.weight": ParameterGroup.SHARED,
            "branches.rna.weight": rna,
            "heads.os.weight": head,
            "shared.bias": ParameterGroup.SHARED,
        }
    )
    behind = {
        site: AveragingWeights({ParameterGroup.SHARED: shared, rna: branch, head: 0.0}, Counted.UNITS)
        for site, shared, branch in (("west", 30.0, 0.0), ("east", 10.0, 5.0))
    }
    with WeightSpill(tmp_path, in_memory) as spill:
        average = Average(CURRENT, groups, spill)
        assert average.groups == {
            ParameterGroup.SHARED: ["shared.weight", "shared.bias"],
            rna: ["branches.rna.weight"],
            head: ["heads.os.weight"],
        }
        for site, by in (("west", 4.0), ("nobody asked", 900.0), ("east", 8.0)):
            average.put(site, moved(by))
        mean = average.of(behind)
        assert not list(tmp_path.iterdir()), "the file has no name"
    assert list(mean) == list(CURRENT)
    assert all(array.dtype == np.float32 for array in mean.values())
    for name in ("shared.weight", "shared.bias"):
        np.testing.assert_array_equal(mean[name], CURRENT[name] + 5)
    np.testing.assert_array_equal(mean["branches.rna.weight"], CURRENT["branches.rna.weight"] + 8)
    np.testing.assert_array_equal(mean["heads.os.weight"], CURRENT["heads.os.weight"])


@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_what_is_put_spill_comes_back_as_it_was_and_the_first_of_a_name_stays(
    tmp_path: Path, in_memory: int
) -> None:
    one, two = np.linspace(0, 1, 7, dtype=np.float32), np.linspace(2, 3, 5, dtype=np.float32)
    with WeightSpill(tmp_path, in_memory) as spill:
        spill.put("one", one)
        spill.put("two", two)
        spill.get("one")
        spill.put("one", -one)
        spill.put("three", one[::2])
        for name, array in (("two", two), ("one", one), ("three", one[::2])):
            np.testing.assert_array_equal(spill.get(name), array)
