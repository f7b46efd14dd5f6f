"""Per-patient gradient clipping by book-keeping.

One backward pass gives norms layer by layer; weighted products follow.

For patient i the gradient of a linear layer's weight is G_i = sum_t g_it a_it^T over the positions t (nodes, tokens),
with the layer's input a and the gradient g of its output. With one position its norm is |g_i| |a_i|, and G_i is never
formed; otherwise it is formed per patient, [R, outputs, inputs], which is small where parameters are few. The clipped
sum is sum_i c_i G_i with c_i = min(1, C / |all gradients of i|) (Abadi et al. 2016; "book-keeping" after Bu et al.
2023). The parameters' ordinary gradients are never computed, and a layer's g and a are let go as soon as used.

Opacus' per-sample hooks give the same on the same model; tests compare the two.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from common.models.shared import PartialModule

ROUNDING = 1e-6
"""Share by which a clipped gradient is shorter than the limit, so that rounding never leaves it longer."""


Layer = nn.Linear | nn.LayerNorm


@dataclass(frozen=True)
class PerPatient:
    """Gradients of one parameter per patient [R, *shape], or their factors [R, O] and [R, I].

    They are those of the patients at `rows` [R] of the batch, or of all if None; the others' are 0.
    """

    parameter: Tensor
    rows: Tensor | None
    gradients: Tensor
    factor: Tensor | None = None

    def norms(self) -> Tensor:
        """Return norms [R] in float64, whose range neither a square nor a product of factors leaves."""
        norms = _norms(self.gradients)
        return norms if self.factor is None else norms * _norms(self.factor)

    def formed(self, patients: int) -> Tensor:
        """Return gradients [B, *shape], 0 for patients that the layer did not see."""
        formed = self.gradients
        if self.factor is not None:
            formed = formed[:, :, None] * self.factor[:, None, :]
        if self.rows is None:
            return formed
        return formed.new_zeros(patients, *formed.shape[1:]).index_copy_(0, self.rows, formed)

    def weighted_sum(self, weight: Tensor, spoilt: bool) -> Tensor:
        """Sum weight [B] times gradient over patients; with `spoilt`, those of weight 0 add nothing."""
        weights = weight if self.rows is None else weight[self.rows]
        gradients, factor = self.gradients, self.factor
        if spoilt:  # 0 times infinity is not 0
            gradients = _without(gradients, weights)
            factor = None if factor is None else _without(factor, weights)
        if factor is not None:
            return ((gradients * weights[:, None]).t() @ factor).flatten()
        return weights @ gradients.flatten(1)


class PatientGradients:
    """Hooks on linear and normalisation layers that clip and sum gradients per patient.

    Args:
        model: parameters that are trained lie in `nn.Linear` and `nn.LayerNorm` alone, patients first
            (`common.privacy.guarantee.check_model`). Inside a `PartialModule` the patients are its `rows`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._gradients: dict[Tensor, list[PerPatient]] = {}
        self._first_outputs: list[Tensor] = []
        self._rows: Tensor | None = None
        self._handles = []
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        for module in model.modules():
            if isinstance(module, PartialModule):
                self._handles += [
                    module.register_forward_pre_hook(self._enter),
                    module.register_forward_hook(self._leave, always_call=True),
                ]
            if isinstance(module, nn.Linear | nn.LayerNorm) and any(
                parameter.requires_grad for parameter in module.parameters()
            ):
                self._handles.append(module.register_forward_hook(self._keep_input))

    def close(self) -> None:
        """Stop watching."""
        for handle in self._handles:
            handle.remove()

    def _enter(self, part: PartialModule, inputs: tuple[Any, ...]) -> None:
        self._rows = part.rows(*inputs)

    def _leave(self, part: PartialModule, inputs: tuple[Any, ...], output: object) -> None:
        self._rows = None

    def _keep_input(self, layer: Layer, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep a layer's input until the gradient of its output [R, ..., F] arrives."""
        if not output.requires_grad:
            return
        moments = _moments(output) if isinstance(layer, nn.LayerNorm) else None
        waiting = [(inputs[0].detach(), moments, self._rows)]

        def arrived(grad: Tensor) -> None:
            for part in _parts(layer, grad, *waiting.pop()):
                self._gradients.setdefault(part.parameter, []).append(part)

        output.register_hook(arrived)
        if not inputs[0].requires_grad:
            self._first_outputs.append(output)

    def per_patient(self, loss: Callable[[], Tensor], patients: int) -> dict[Tensor, PerPatient]:
        """Return gradients per patient of every parameter in `loss` [B]."""
        self._gradients, self._first_outputs = {}, []
        try:
            total = loss().sum()
            if self._first_outputs and total.requires_grad:
                # No gradient is wanted beyond the layers that see the patients' values first.
                torch.autograd.grad(total, self._first_outputs, allow_unused=True)
            # A layer used twice has one gradient, the sum.
            return {
                parameter: uses[0] if len(uses) == 1 else _added(uses, patients)
                for parameter, uses in self._gradients.items()
            }
        finally:
            self._gradients, self._first_outputs = {}, []

    def clipped_sum(self, loss: Callable[[], Tensor], patients: int, clip_norm: float) -> list[Tensor]:
        """Sum per-patient gradients, clipped to `clip_norm`, for every trained parameter.

        A patient whose gradient is not finite adds nothing: a failure would tell of that patient.

        Args:
            loss: gives one value per patient [B], from this model.
            patients: B.
            clip_norm: largest norm of one patient's gradient over all parameters.
        """
        parts = self.per_patient(loss, patients) if patients else {}
        joined = _joined(parts.values())
        norm = _whole_norms((part for part, _ in joined), patients, self.parameters[0].device)
        scale = (clip_norm / (norm * (1 + ROUNDING))).clamp(max=1.0)
        single = self.parameters[0].dtype
        # Below the smallest normal number a weight would be rounded coarsely; not-a-number is not above it either.
        weight = torch.where(scale >= torch.finfo(single).tiny, scale, 0.0).to(single)
        # A GPU is not asked, since that would be to wait for it: there a patient's gradient may be spoilt at any time.
        spoilt = weight.device.type != "cpu" or not bool((weight > 0).all())
        sums: dict[Tensor, Tensor] = {}
        for part, parameters in joined:
            pieces = part.weighted_sum(weight, spoilt).split([parameter.numel() for parameter in parameters])
            sums |= {
                parameter: piece.view_as(parameter)
                for parameter, piece in zip(parameters, pieces, strict=True)
            }
        return [
            sums[parameter] if parameter in sums else torch.zeros_like(parameter)
            for parameter in self.parameters
        ]


@contextmanager
def patient_gradients(model: nn.Module) -> Iterator[PatientGradients]:
    """Watch a model inside the context."""
    watching = PatientGradients(model)
    try:
        yield watching
    finally:
        watching.close()


def _without(gradients: Tensor, weight: Tensor) -> Tensor:
    """Set gradients [R, ...] to 0 for the patients of weight [R] 0."""
    return gradients.masked_fill((weight == 0).view(-1, *[1] * (gradients.dim() - 1)), 0.0)


def _added(uses: list[PerPatient], patients: int) -> PerPatient:
    total = torch.stack([use.formed(patients) for use in uses]).sum(0)
    return PerPatient(uses[0].parameter, None, total)


def _joined(parts: Iterable[PerPatient]) -> list[tuple[PerPatient, list[Tensor]]]:
    """Concatenate formed gradients of the same patients, with their parameters.

    A single product then takes them all.
    """
    single, formed = [], defaultdict(list)
    for part in parts:
        if part.factor is None:
            formed[id(part.rows)].append(part)
        else:
            single.append((part, [part.parameter]))
    together = []
    for group in formed.values():
        flat = torch.cat([part.gradients.flatten(1) for part in group], dim=1)
        together.append((PerPatient(flat[0], group[0].rows, flat), [part.parameter for part in group]))
    return single + together


def _norms(gradients: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(gradients.flatten(1), dim=1, dtype=torch.float64)
    return norms


def _whole_norms(parts: Iterable[PerPatient], patients: int, device: torch.device) -> Tensor:
    """Return norms [B] in float64 of a patient's gradient over all parameters."""
    squares = torch.zeros(patients, dtype=torch.float64, device=device)
    for part in parts:
        squared = part.norms().square()
        squares = squares + squared if part.rows is None else squares.index_add(0, part.rows, squared)
    return squares.sqrt()


def _moments(output: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and 1 / standard deviation [R, ..., 1] from a normalisation's forward pass."""
    kept: Any = output.grad_fn
    mean: Tensor = kept._saved_result1
    scale: Tensor = kept._saved_result2
    return mean, scale


def _parts(
    layer: Layer, grad: Tensor, given: Tensor, moments: tuple[Tensor, Tensor] | None, rows: Tensor | None
) -> Iterator[PerPatient]:
    """Yield the gradients per patient of a layer's weight and bias."""
    single = grad.dim() == 2
    flat = grad if single else grad.flatten(1, -2)
    if layer.bias is not None and layer.bias.requires_grad:
        yield PerPatient(layer.bias, rows, flat if single else flat.sum(1))
    if not layer.weight.requires_grad:
        return
    if moments is not None:
        mean, scale = moments
        products = (given - mean).mul_(scale).mul_(grad)
        yield PerPatient(layer.weight, rows, products if single else products.flatten(1, -2).sum(1))
    elif single:
        yield PerPatient(layer.weight, rows, flat, given)
    else:
        yield PerPatient(layer.weight, rows, _summed_products(flat, given.flatten(1, -2)))


def _summed_products(grad: Tensor, given: Tensor) -> Tensor:
    """Return grad^T given per patient, [R, T, O] and [R, T, I] -> [R, O, I].

    BLAS is quicker with the narrower factor first.
    """
    if given.shape[2] < grad.shape[2]:
        return (given.transpose(1, 2) @ grad).transpose(1, 2)
    return grad.transpose(1, 2) @ given
