"""Report of the training process, computed in a process of its own."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from client.runtime import training_process as probe
from client.runtime.services import inherited
from client.site_folder.places import Home
from client.training.device import DeviceFault, is_usable
from common.errors import MachineError


@pytest.fixture(autouse=True)
def _looked_at_anew() -> Iterator[None]:
    is_usable.cache_clear()
    yield
    is_usable.cache_clear()


def site(folder: Path, asked: str) -> Path:
    (folder / "site.toml").write_text(
        f'name = "north"\ndevice = "{asked}"\ntables = {{ outcomes = "o.csv" }}\n'
    )
    return folder


def test_a_process_of_its_own_looks(tmp_path: Path) -> None:
    found = probe.ask(site(tmp_path, "cpu"), inherited(Home(tmp_path)))
    assert found["executable"] == sys.executable
    assert found["torch"] == torch.__version__
    assert found["arithmetic"] is True
    assert len(found["devices"]) == torch.cuda.device_count()
    assert (found["device"], found["objection"]) == ("cpu", None)


def one_gpu(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    """A GPU, as its driver describes it, that computes or does not."""
    ones = torch.ones

    def tensor(*shape: int, device: torch.device) -> torch.Tensor:
        if device.type == "cuda" and not works:
            raise RuntimeError("CUDA error at CANARY-8371: no kernel image is available")
        return ones(*shape)

    properties = SimpleNamespace(name="H200", total_memory=139 * 2**30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(torch, "ones", tensor)


def test_a_gpu_that_computes_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_gpu(monkeypatch, works=True)
    found = probe.make_report(site(tmp_path, "auto"))
    assert found["devices"] == [{"name": "cuda:0", "works": True, "model": "H200", "memory_gib": 139.0}]
    assert found["device"] == "cuda:0"


def test_a_gpu_that_is_there_but_does_not_compute_is_no_failure_of_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_gpu(monkeypatch, works=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = probe.make_report(site(tmp_path, "cuda"))
    assert (found["devices"][0]["works"], found["devices"][0]["error"]) == (False, "RuntimeError")
    assert found["visible"] == "0"
    assert found["objection"]["fault"] == DeviceFault.DOES_NOT_COMPUTE
    assert "CANARY" not in json.dumps(found)


def test_a_device_that_is_not_there_is_an_objection(tmp_path: Path) -> None:
    found = probe.make_report(site(tmp_path, "cuda:999"))
    assert found["device"] is None
    assert found["objection"]["where"] == f"{tmp_path / 'site.toml'}, device"
    with pytest.raises(MachineError) as raised:
        probe.require_device(tmp_path, inherited(Home(tmp_path)))
    assert raised.value.where == found["objection"]["where"]


def test_a_site_file_that_cannot_be_read_is_told_by_others(tmp_path: Path) -> None:
    found = probe.make_report(tmp_path)
    assert (found["device"], found["objection"]) == (None, None)


def test_a_process_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        probe.ask(tmp_path, {"PYTHONHOME": str(tmp_path)})


def test_a_process_that_hangs_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with pytest.raises(MachineError):
        probe.ask(tmp_path, inherited(Home(tmp_path)), longest_s=0.01)
