"""Gradients by which private steps move the weights, seen by torch's hook before every step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook


@contextmanager
def watching_steps() -> Iterator[list[Tensor]]:
    """Yield a list to which every step of SGD inside adds its gradient, [parameters] float64."""
    seen: list[Tensor] = []

    def note(optimiser: Optimizer, arguments: Any, named: Any) -> None:
        if isinstance(optimiser, SGD):
            parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
            seen.append(torch.cat([own.grad.detach().double().flatten() for own in parameters]))

    hook = register_optimizer_step_pre_hook(note)
    try:
        yield seen
    finally:
        hook.remove()
