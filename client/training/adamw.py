"""AdamW (Loshchilov & Hutter 2019) without an import of torch's compiler.

The arithmetic is torch's.

The first optimiser that a process makes from a class of `torch.optim` imports `torch._dynamo`: 820 modules, about a
second, and in a deployment every round is a new process. The function of the same name does not.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim.adamw import adamw

from common.agreement.reach import BETAS

EPSILON = 1e-8
"""The default of `torch.optim.AdamW`."""


class AdamW:
    """Steps of `torch.optim.AdamW(fused=True)`, bit by bit.

    Fused, a step over a model's 150 small tensors is 0.6 ms where one call per operation takes 4.

    Args:
        parameters: to be fitted; one without a gradient stays as it is and its moments as they are.
        lr: learning rate.
        weight_decay: decoupled from the gradient.

    Attributes:
        parameters: that are fitted.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float, weight_decay: float) -> None:
        self.parameters, self._lr, self._decay = list(parameters), lr, weight_decay
        self._moments: dict[Parameter, tuple[Tensor, Tensor, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move the parameters by their gradients."""
        moved = {
            parameter: _in_layout_of(parameter, parameter.grad)
            for parameter in self.parameters
            if parameter.grad is not None
        }
        if not moved:
            return
        means, squares, steps = zip(*(self._moments_of(parameter) for parameter in moved), strict=True)
        adamw(
            list(moved),
            list(moved.values()),
            list(means),
            list(squares),
            [],
            list(steps),
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self._lr,
            weight_decay=self._decay,
            eps=EPSILON,
            maximize=False,
        )

    def _moments_of(self, parameter: Parameter) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean of a parameter's gradients, mean of their squares, and steps taken."""
        if parameter not in self._moments:
            self._moments[parameter] = (
                torch.zeros_like(parameter),
                torch.zeros_like(parameter),
                torch.zeros((), device=parameter.device),
            )
        return self._moments[parameter]


class StaticAdamW:
    """Steps of `AdamW` whose learning rate, and which parts move, are numbers on the device.

    So a step is the same operations every time. A part that is idle keeps its parameters and moments, as one without
    a gradient does in `AdamW`.

    Args:
        parts: the parameters of every part, by its name; None for those that are never idle.
        weight_decay: decoupled from the gradient.
    """

    def __init__(self, parts: Mapping[str | None, Sequence[Parameter]], weight_decay: float) -> None:
        everything = [parameter for part in parts.values() for parameter in part]
        self._parts = {name: list[Tensor](part) for name, part in parts.items() if part}
        self._decay = weight_decay
        self._rate = torch.zeros((), device=everything[0].device)
        self._moments: dict[Tensor, tuple[Tensor, Tensor, Tensor]] = {
            parameter: (torch.zeros_like(parameter), torch.zeros_like(parameter), self._rate.clone())
            for parameter in everything
        }

    @torch.no_grad()
    def begin(self, lr: float) -> None:
        """Forget moments and steps, and take another learning rate."""
        self._rate.fill_(lr)
        torch._foreach_zero_([tensor for moments in self._moments.values() for tensor in moments])

    @torch.no_grad()
    def step(self, idle: Mapping[str, Tensor]) -> None:
        """Move the parameters by their gradients, but for parts of which `idle` has a 1."""
        for name, part in self._parts.items():
            moved = [parameter for parameter in part if parameter.grad is not None]
            if not moved:
                continue
            means, squares, steps = zip(*(self._moments[parameter] for parameter in moved), strict=True)
            adamw(
                moved,
                [
                    _in_layout_of(parameter, parameter.grad)
                    for parameter in moved
                    if parameter.grad is not None
                ],
                list(means),
                list(squares),
                [],
                list(steps),
                fused=True,
                found_inf=None if name is None else idle[name],
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=self._rate,
                weight_decay=self._decay,
                eps=EPSILON,
                maximize=False,
            )


def _in_layout_of(parameter: Tensor, gradient: Tensor) -> Tensor:
    """Return a gradient in the memory layout of its parameter.

    The fused step reads both in that order.
    """
    if gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
