"""Steps are those of `torch.optim.AdamW` to the bit, and cost no import of the compiler."""

import subprocess
import sys
from functools import partial

import pytest
import torch
from torch import nn

from client.training.adamw import AdamW, StaticAdamW


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_steps_are_those_of_torch(decay: float) -> None:
    models = []
    for kind in (AdamW, partial(torch.optim.AdamW, fused=True)):
        torch.manual_seed(0)
        model = nn.ModuleDict({name: nn.Linear(5, 3) for name in ("always", "sometimes", "never")})
        optimiser = kind(model.parameters(), lr=0.01, weight_decay=decay)
        for step in range(6):
            used = ["always", *(["sometimes"] if step % 2 else [])]
            optimiser.zero_grad()
            loss = sum((model[name](torch.randn(4, 5)).square().sum() for name in used), torch.zeros(()))
            loss.backward()
            optimiser.step()
        models.append(model)
    ours, theirs = (model.state_dict() for model in models)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_without_gradients_nothing_moves() -> None:
    layer = nn.Linear(2, 2)
    before = layer.weight.clone()
    AdamW(layer.parameters(), lr=1.0, weight_decay=1.0).step()
    assert torch.equal(layer.weight, before)


def test_it_does_not_bring_the_compiler() -> None:
    program = (
        "import sys, torch; from client.training.adamw import AdamW; layer = torch.nn.Linear(2, 2);"
        "optimiser = AdamW(layer.parameters(), lr=0.1, weight_decay=0.1);"
        "layer(torch.ones(1, 2)).sum().backward(); optimiser.step();"
        "print('torch._dynamo' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_a_gradient_laid_out_otherwise_than_its_parameter_counts_by_its_places() -> None:
    by_columns, by_rows = nn.Linear(6, 4, bias=False), nn.Linear(6, 4, bias=False)
    by_columns.weight.data = by_rows.weight.detach().t().contiguous().t()
    gradient = torch.randn(4, 6)
    for layer in (by_columns, by_rows):
        layer.weight.grad = gradient.clone()
        AdamW(layer.parameters(), lr=0.01, weight_decay=0.0).step()
    torch.testing.assert_close(by_columns.weight, by_rows.weight)


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_static_steps_are_the_same_where_a_part_is_idle_in_some(decay: float) -> None:
    models = []
    for static in (False, True):
        torch.manual_seed(0)
        model = nn.ModuleDict({name: nn.Linear(5, 3) for name in ("always", "sometimes")})
        parts = {None: list(model["always"].parameters()), "part": list(model["sometimes"].parameters())}
        fixed, launched = StaticAdamW(parts, decay), AdamW(model.parameters(), 0.01, decay)
        fixed.begin(0.01)
        for step in range(6):
            taken = float(step % 2)
            model.zero_grad()
            inputs = torch.randn(4, 5)
            loss = model["always"](inputs).square().sum()
            if static or taken:
                loss = loss + taken * model["sometimes"](inputs).square().sum()
            loss.backward()
            if static:
                fixed.step({"part": torch.tensor(1 - taken)})
            else:
                launched.step()
        models.append(model.state_dict())
    for name, weight in models[0].items():
        torch.testing.assert_close(models[1][name], weight, msg=name)
