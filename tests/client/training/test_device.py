"""A device is the one that was asked for, or a sentence says why not and what to do."""

import logging
import os
import re
from collections.abc import Callable

import pytest
import torch

from client.site_folder.site_file import ASKED
from client.training.device import (
    CPU,
    Device,
    DeviceError,
    DeviceFault,
    computes,
    find_device,
    is_usable,
    open_device,
)
from common.errors import InputCode
from tests.client.logged import codes

WHERE = "site.toml, device"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes torch tell of so many GPUs, which compute or do not."""

    def describe(gpus: int, works: bool = True, cuda: str | None = "12.8") -> None:
        def ones(*shape: int, device: torch.device) -> torch.Tensor:
            if not works:
                raise RuntimeError("CUDA error at CANARY-8371: no kernel image is available")
            return torch.full(shape, 1.0)

        is_usable.cache_clear()
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch, "ones", ones)

    return describe


@pytest.mark.parametrize(
    ("asked", "gpus", "place"),
    [
        ("auto", 0, "cpu"),
        ("auto", 2, "cuda:0"),
        ("cpu", 2, "cpu"),
        ("cuda", 2, "cuda:0"),
        ("cuda:1", 2, "cuda:1"),
    ],
)
def test_a_text_names_a_device(machine: Callable[..., None], asked: str, gpus: int, place: str) -> None:
    machine(gpus)
    assert find_device(asked, WHERE) == torch.device(place)


@pytest.mark.parametrize(
    ("asked", "fault", "how"),
    [
        ("cuda", DeviceFault.NO_GPU, {"gpus": 0}),
        ("cuda", DeviceFault.TORCH_WITHOUT_CUDA, {"gpus": 0, "cuda": None}),
        ("cuda:2", DeviceFault.NO_SUCH_GPU, {"gpus": 2}),
        ("cuda:0", DeviceFault.DOES_NOT_COMPUTE, {"gpus": 1, "works": False}),
    ],
)
def test_a_gpu_that_is_not_there_is_a_sentence_with_a_remedy(
    machine: Callable[..., None], asked: str, fault: DeviceFault, how: dict[str, object]
) -> None:
    machine(**how)
    with pytest.raises(DeviceError) as caught:
        find_device(asked, WHERE)
    error = caught.value
    assert (error.code, error.where, error.fault) == (InputCode.MACHINE_UNFIT, WHERE, fault)
    assert asked in error.what
    assert all(choice in error.remedy for choice in ('"auto"', '"cpu"'))
    assert "CANARY" not in str(error)


def test_a_text_that_names_no_device_is_refused() -> None:
    with pytest.raises(DeviceError) as caught:
        find_device("gpu", WHERE)
    assert caught.value.fault is DeviceFault.NOT_A_DEVICE


def test_auto_does_without_a_gpu_that_does_not_compute(
    machine: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    machine(1, works=False)
    with caplog.at_level(logging.WARNING):
        assert find_device("auto", WHERE) == torch.device("cpu")
    assert codes(caplog) == [DeviceFault.DOES_NOT_COMPUTE]


def test_products_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    assert computes(torch.device("cpu"))
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda ones, other: ones)
    assert not computes(torch.device("cpu"))


@pytest.mark.parametrize("text", ["", "gpu", "cuda:", "cuda:x", "cuda:1234", "CPU", "cuda:0 "])
def test_other_texts_name_nothing(text: str) -> None:
    assert not re.fullmatch(ASKED, text)


def test_autocast_is_for_bfloat16_alone() -> None:
    weight = torch.ones(4, 4)
    with CPU.autocast():
        assert (weight @ weight).dtype == torch.float32
    with Device(precision="bfloat16").autocast():
        assert (weight @ weight).dtype == torch.bfloat16


def test_what_does_not_repeat_is_refused_within_and_allowed_again_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with open_device("cpu", WHERE, deterministic=True).repeatable():
        assert torch.are_deterministic_algorithms_enabled()
        with pytest.raises(RuntimeError):
            torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2))
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "what the hospital has set stays"
    with CPU.repeatable():
        assert not torch.are_deterministic_algorithms_enabled()


def test_draws_follow_the_seed_and_leave_the_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 2, 1):
        with CPU.seeded(seed):
            drawn.append(float(torch.rand(())))
    assert drawn[0] == drawn[2] != drawn[1]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.cuda
def test_a_gpu_draws_by_the_seed_too(gpu: torch.device) -> None:
    before, drawn = torch.cuda.get_rng_state(gpu), []
    for seed in (1, 2, 1):
        with Device(gpu).seeded(seed):
            drawn.append(float(torch.rand((), device=gpu)))
    assert drawn[0] == drawn[2] != drawn[1]
    assert torch.equal(torch.cuda.get_rng_state(gpu), before)


@pytest.mark.cuda
def test_processes_that_share_a_gpu_get_their_part_of_its_memory(gpu: torch.device) -> None:
    total = torch.cuda.get_device_properties(gpu).total_memory
    try:
        shared = open_device("cuda", WHERE, sharing=4)
        assert shared.torch_device == gpu
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(total // 3, dtype=torch.uint8, device=gpu)
        torch.empty(total // 8, dtype=torch.uint8, device=gpu)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, gpu)
        torch.cuda.empty_cache()
