import time

import pytest
import torch

from simulations.benchmarks.measuring.stopwatch import peak, seconds


def test_a_peak_is_seen_that_is_gone_when_the_step_ends() -> None:
    def step() -> None:
        torch.ones(64 << 18)

    assert 60 < peak(step) < 120


def test_waiting_is_no_time_of_the_processor() -> None:
    start = time.perf_counter()
    measured = seconds(lambda: time.sleep(0.2))
    assert measured < 0.1 < time.perf_counter() - start


@pytest.mark.cuda
def test_on_a_gpu_the_step_has_finished_and_its_memory_is_the_gpu_s(gpu: torch.device) -> None:
    big = torch.ones(4096, 4096, device=gpu)
    assert seconds(lambda: big @ big, gpu) > 1e-4
    assert 63 < peak(lambda: big @ big, gpu) < 128
