"""Every encoding is packed as it travels, and weighed to the last byte."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.messages.compression import flatten
from simulations.benchmarks.measuring import reference
from simulations.benchmarks.measuring.reference import Workload, of_cohort
from simulations.benchmarks.wire import bench as wire
from simulations.benchmarks.wire.accuracy import WIRES, name_of
from simulations.benchmarks.wire.bench import Packer, WireFigures, measure, run_wire, train_update
from simulations.benchmarks.wire.table import wire_table


@pytest.fixture(scope="module")
def work() -> Workload:
    return of_cohort("synthetic", None, 8)


def test_bytes_are_values_manifest_and_framing(work: Workload) -> None:
    costs = {name_of(cost.wire): cost for cost in measure(work, 2)}
    assert list(costs) == ["float32", "float16", "int8", "top-k 0.2", "top-k 0.09"]
    plain, half = costs["float32"], costs["float16"]
    assert plain.value_bytes == 4 * plain.parameters
    assert half.value_bytes == 2 * half.parameters
    assert plain.request_bytes > plain.value_bytes
    for cost in costs.values():
        assert cost.manifest_bytes < 1000
        assert 0 < cost.framing_bytes < 3000
        assert cost.pack_ms > 0 < cost.unpack_ms
    for name, times in {"int8": 4, "top-k 0.2": 8, "top-k 0.09": 16}.items():
        assert plain.value_bytes / costs[name].value_bytes > times, name


def test_what_is_timed_gives_the_update(work: Workload) -> None:
    update = train_update(work)
    change = flatten(update.after) - flatten(update.before)
    assert np.count_nonzero(change) > len(change) / 2
    packers = {name_of(wire_): Packer(update, wire_) for wire_ in WIRES}
    plain = packers["float32"]
    np.testing.assert_array_equal(flatten(plain.unpacked(*plain.packed())), flatten(update.after))
    for name, most in {"float16": 1e-3, "int8": 0.02, "top-k 0.2": 0.9, "top-k 0.09": 0.97}.items():
        found = flatten(packers[name].unpacked(*packers[name].packed()))
        assert np.linalg.norm(found - change) < most * np.linalg.norm(change), name


def test_figures_are_written_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in {"GENES": 60, "PROTEINS": 40, "IMAGING": 24, "PATHWAYS": 7, "MEMBERS": 5}.items():
        monkeypatch.setattr(reference, name, size)
    monkeypatch.setattr(wire, "default_data", lambda: None)
    out = tmp_path / "new" / "wire.json"
    costs = run_wire(None, 1, out)
    assert WireFigures.model_validate_json(json.dumps(json.loads(out.read_text()))) == costs
    printed = wire_table(costs)
    assert printed.count("| synthetic |") == len(WIRES)
    assert printed.count("| reference |") == len(WIRES)
    assert f"torch {costs.machine.torch}" in printed
    assert f"{costs.date:%Y-%m-%d}" in printed
