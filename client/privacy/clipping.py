"""Per-patient gradient clipping by book-keeping.

One backward pass gives norms layer by layer; weighted products follow.

For patient i the gradient of a linear layer's weight is G_i = sum_t g_it a_it^T over the positions t (nodes, tokens),
with the layer's input a and the gradient g of its output. With one position its norm is |g_i| |a_i|, and G_i is never
formed; otherwise it is formed per patient, [R, outputs, inputs], which is small where parameters are few. The clipped
sum is sum_i c_i G_i with c_i = min(1, C / |all gradients of i|) (Abadi et al. 2016; "book-keeping" after Bu et al.
2023). The parameters' ordinary gradients are never computed, and a layer's g and a are let go as soon as used.

Norms, weights and sums over patients are float64 whatever the model computes in, so that a sum over thousands of
patients is rounded by nothing that counts beside one patient's share.

Opacus' per-sample hooks give the same on the same model; tests compare the two.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from common.models.shared import PartialModule

BLOCK = 1 << 17
"""Numbers in float64 that are worked on at a time."""


SMALL = 4096
"""Numbers of a parameter up to which its gradients are summed beside those of others."""


ROUNDING = 1e-6
"""Share by which a clipped gradient is shorter than the limit, so that rounding never leaves it longer."""


Layer = nn.Linear | nn.LayerNorm


@dataclass(frozen=True)
class PerPatient:
    """Gradients of one parameter per patient [R, *shape], or their factors [R, O] and [R, I].

    They are those of the patients at `rows` [R] of the batch of B, or of all if None; the others' are 0. A row B is of
    nobody.
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
        """Return gradients [B, *shape] of this use of a layer, 0 for patients that it did not see."""
        formed = self.gradients
        if self.factor is not None:
            formed = formed[:, :, None] * self.factor[:, None, :]
        if self.rows is None:
            return formed
        return formed.new_zeros(patients + 1, *formed.shape[1:]).index_copy_(0, self.rows, formed)[:-1]

    def add_weighted(self, weight: Tensor, spoilt: bool, total: Tensor) -> None:
        """Add weight [B + 1] float64 times gradient, summed over patients, to `total` in place.

        With `spoilt`, those of weight 0 add nothing, whatever their gradients are. The last weight is nobody's.

        Args:
            total: float64, of the parameter's shape.
        """
        weights = weight[:-1] if self.rows is None else weight[self.rows]
        gradients, factor = self.gradients, self.factor
        if spoilt:  # 0 times infinity is not 0
            gradients = _without(gradients, weights)
            factor = None if factor is None else _without(factor, weights)
        if factor is not None:
            total.addmm_((gradients.double() * weights[:, None]).t(), factor.double())
            return
        done = 0
        for block in _blocks(gradients):
            total.view(-1).addmv_(block.double().t(), weights[done : done + len(block)])
            done += len(block)


class PatientGradients:
    """Hooks on linear and normalisation layers that clip and sum gradients per patient.

    Args:
        model: parameters that are trained lie in `nn.Linear` and `nn.LayerNorm` alone, patients first
            (`common.privacy.guarantee.check_model`). Inside a `PartialModule` the patients are its `rows`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._gradients: dict[Tensor, dict[int, dict[int, PerPatient]]] = {}
        self._first_outputs: list[Tensor] = []
        self._visit = self._use = 0
        self._part: PartialModule | None = None
        self._handles = []
        self.model = model
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
        self._part, self._visit = part, self._visit + 1

    def _leave(self, part: PartialModule, inputs: tuple[Any, ...], output: object) -> None:
        self._part = None

    def _keep_input(self, layer: Layer, inputs: tuple[Tensor], output: Tensor) -> None:
        """Keep a layer's input until the gradient of its output [R, ..., F] arrives."""
        if not output.requires_grad:
            return
        if self._part is None:
            self._visit += 1
        self._use += 1
        visit, use = self._visit, self._use
        moments = _moments(output) if isinstance(layer, nn.LayerNorm) else None
        waiting = [(inputs[0].detach(), moments, self._part.rows if self._part is not None else None)]

        def arrived(grad: Tensor) -> None:
            for part in _parts(layer, grad, *waiting.pop()):
                self._gradients.setdefault(part.parameter, {}).setdefault(visit, {})[use] = part

        output.register_hook(arrived)
        if not inputs[0].requires_grad:
            self._first_outputs.append(output)

    def per_patient(self, loss: Callable[[], Tensor], patients: int) -> dict[Tensor, PerPatient]:
        """Return gradients per patient of every parameter in `loss` [B]."""
        computed = self._compute(loss, patients)
        return {parameter: _joined(slots) for parameter, slots in computed.items()}

    def _compute(self, loss: Callable[[], Tensor], patients: int) -> dict[Tensor, Sequence[PerPatient]]:
        """Return gradients per patient by parameter, one for every slot in which it is computed."""
        self._gradients, self._first_outputs = {}, []
        try:
            total = loss().sum()
            if self._first_outputs and total.requires_grad:
                # No gradient is wanted beyond the layers that see the patients' values first.
                torch.autograd.grad(total, self._first_outputs, allow_unused=True)
            computed: dict[Tensor, Sequence[PerPatient]] = {}
            for parameter, visits in self._gradients.items():
                slots = [[uses[use] for use in sorted(uses)] for uses in visits.values()]
                # A layer that sees a patient twice has one gradient, the sum.
                if len(slots) > 1:
                    computed[parameter] = [_added(map(_joined, slots), patients)]
                else:
                    computed[parameter] = slots[0] if slots[0][0].factor is None else [_joined(slots[0])]
            return computed
        finally:
            self._gradients, self._first_outputs = {}, []

    def clipped_sum(
        self,
        loss: Callable[[], Tensor],
        patients: int,
        clip_norm: float,
        counted: Tensor | None = None,
        onto: list[Tensor] | None = None,
    ) -> list[Tensor]:
        """Sum per-patient gradients in float64, clipped to `clip_norm`, for every trained parameter.

        A patient whose gradient is not finite adds nothing: a failure would tell of that patient.

        Args:
            loss: gives one value per patient [B], from this model.
            patients: B.
            clip_norm: largest norm of one patient's gradient over all parameters.
            counted: [B] bool, the patients who add to the sum; all of them if None.
            onto: sums of other patients, to which these are added in place; 0 if None.
        """
        sums = self.no_sum() if onto is None else onto
        computed = self._compute(loss, patients) if patients else {}
        parts = _gathered(part for slots in computed.values() for part in slots)
        norm = _whole_norms((part for part, _ in parts), patients, self.parameters[0].device)
        weight = (clip_norm / (norm * (1 + ROUNDING))).clamp(max=1.0)
        weight = torch.where(norm.isfinite() if counted is None else norm.isfinite() & counted, weight, 0.0)
        weight = pad(weight, (0, 1))
        # A GPU is not asked, since that would be to wait for it: there a patient's gradient may be spoilt at any time.
        spoilt = weight.device.type != "cpu" or not bool(norm.isfinite().all())
        sum_of: dict[Tensor, Tensor] = dict(zip(self.parameters, sums, strict=True))
        for part, parameters in parts:
            if len(parameters) == 1:
                part.add_weighted(weight, spoilt, sum_of[parameters[0]])
                continue
            total = weight.new_zeros(part.gradients.shape[1])
            part.add_weighted(weight, spoilt, total)
            pieces = total.split([parameter.numel() for parameter in parameters])
            for parameter, piece in zip(parameters, pieces, strict=True):
                sum_of[parameter] += piece.view_as(parameter)
        return sums

    def no_sum(self) -> list[Tensor]:
        """Return sums over no patient, in float64 for every trained parameter."""
        return [parameter.new_zeros(parameter.shape, dtype=torch.float64) for parameter in self.parameters]


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


def _added(uses: Iterable[PerPatient], patients: int) -> PerPatient:
    """Add up the gradients of a layer that was used for the same patients more than once."""
    first, *others = uses
    if not others:
        return first
    total = torch.stack([use.formed(patients) for use in (first, *others)]).sum(0)
    return PerPatient(first.parameter, None, total)


def _joined(slots: Sequence[PerPatient]) -> PerPatient:
    """Put the slots of a layer together, in their order."""
    if len(slots) == 1:
        return slots[0]
    factors = [slot.factor for slot in slots if slot.factor is not None]
    return PerPatient(
        slots[0].parameter,
        torch.cat([slot.rows for slot in slots if slot.rows is not None]),
        torch.cat([slot.gradients for slot in slots]),
        torch.cat(factors) if factors else None,
    )


def _gathered(parts: Iterable[PerPatient]) -> list[tuple[PerPatient, list[Tensor]]]:
    """Put small gradients of the same patients side by side, for one operation on them all."""
    gathered: list[tuple[PerPatient, list[Tensor]]] = []
    small: dict[int, list[PerPatient]] = {}
    for part in parts:
        if part.factor is None and part.parameter.numel() <= SMALL:
            small.setdefault(id(part.rows), []).append(part)
        else:
            gathered.append((part, [part.parameter]))
    for group in small.values():
        flat = torch.cat([part.gradients.flatten(1) for part in group], dim=1)
        gathered.append((PerPatient(flat[0], group[0].rows, flat), [part.parameter for part in group]))
    return gathered


def _norms(gradients: Tensor) -> Tensor:
    blocks = [torch.linalg.vector_norm(block, dim=1, dtype=torch.float64) for block in _blocks(gradients)]
    return torch.cat(blocks)


def _blocks(gradients: Tensor) -> Sequence[Tensor]:
    """Split gradients [R, ...] into blocks [r, P] that the processor's cache holds in float64."""
    flat = gradients.flatten(1)
    rows = max(1, BLOCK // flat.shape[1]) if flat.device.type == "cpu" else len(flat)
    return torch.split(flat, rows)


def _whole_norms(parts: Iterable[PerPatient], patients: int, device: torch.device) -> Tensor:
    """Return norms [B] in float64 of a patient's gradient over all parameters."""
    squares = torch.zeros(patients + 1, dtype=torch.float64, device=device)
    for part in parts:
        squared = part.norms().square()
        squares = (
            squares + pad(squared, (0, 1)) if part.rows is None else squares.index_add(0, part.rows, squared)
        )
    return squares[:-1].sqrt()


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
