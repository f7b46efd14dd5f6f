"""What the training process would find is found by computing, in a process of its own."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from client import probe


def test_a_process_of_its_own_prints_one_object() -> None:
    command = [sys.executable, "-P", "-m", "client.probe"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(run.stdout)
    assert found["executable"] == sys.executable
    assert found["torch"] == torch.__version__
    assert found["arithmetic"] is True
    assert len(found["devices"]) == torch.cuda.device_count()


def one_gpu(monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    """A GPU, as its driver describes it, that computes or does not."""

    def compute(device: str) -> bool:
        if device == "cuda:0" and not works:
            raise RuntimeError("CUDA error at CANARY-8371: no kernel image is available")
        return True

    properties = SimpleNamespace(name="H200", total_memory=139 * 2**30)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    monkeypatch.setattr(probe, "_works", compute)


def test_a_gpu_that_computes_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    one_gpu(monkeypatch, works=True)
    assert probe.found()["devices"] == [
        {"name": "cuda:0", "works": True, "model": "H200", "memory_gib": 139.0}
    ]


def test_a_gpu_that_is_there_but_does_not_compute_is_no_failure_of_the_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one_gpu(monkeypatch, works=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = probe.found()
    assert (found["devices"][0]["works"], found["devices"][0]["error"]) == (False, "RuntimeError")
    assert found["visible"] == "0"
    assert "CANARY" not in json.dumps(found)


def test_arithmetic_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probe._works("cpu")
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda ones, other: ones)
    assert not probe._works("cpu")
