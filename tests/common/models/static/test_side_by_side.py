import copy

import pytest
import torch
from torch import nn

from common.models.static.side_by_side import run_side_by_side


@pytest.mark.cuda
def test_modules_on_streams_compute_what_they_compute_one_after_another(gpu: torch.device) -> None:
    torch.manual_seed(0)
    plain = nn.ModuleList(nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 8)) for _ in range(4))
    plain = plain.to(gpu)
    beside = copy.deepcopy(plain)
    run_side_by_side(list(beside))
    inputs = torch.randn(512, 64, device=gpu)
    for modules in (plain, beside):
        torch.stack([module(inputs) for module in modules]).square().sum().backward()
    for own, other in zip(beside.parameters(), plain.parameters(), strict=True):
        assert own.grad is not None
        assert other.grad is not None
        assert torch.equal(own.grad, other.grad)
