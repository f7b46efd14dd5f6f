"""Gradient of the linear scores over all training patients of a hospital, as one step.

Weighted by the patients behind them, the hospitals' steps average to the gradient over the patients of all hospitals
together: the coordinator fits the scores as if they were pooled (`server.aggregation.linear_fit`).
"""

import torch
from torch import Tensor

from client.training.finite import are_finite
from client.training.round import Round
from common.errors import Refusal, RefusalCode
from common.models.parameter_groups import AveragingWeights
from common.models.shared import SharedModel
from common.records import Records


def step_along_gradient(
    model: SharedModel, batch: Records, behind: AveragingWeights, round_: Round
) -> Tensor:
    """Move the linear scores against the mean gradient of the patients behind them.

    No mask is drawn. The gradient adds up over minibatches in float64, so that the number of threads changes nothing.

    Args:
        model: on the round's device; changed in place, apart from groups without a patient.
        batch: standardised training patients, on the CPU.
        behind: their number in every averaging group.
        round_: agreement and device.

    Returns:
        Losses [P] of the weights that came.

    Raises:
        Refusal: if a loss or a weight is not finite.
    """
    federation, device, groups = round_.federation, round_.device, model.groups()
    fitted = {name: weight for name, weight in model.named_parameters() if name in groups.linear}
    prepared, patients = round_.prepared.to(device.torch_device), batch.to(device.torch_device)
    totals = {name: torch.zeros_like(weight, dtype=torch.float64) for name, weight in fitted.items()}
    losses: list[Tensor] = []
    model.eval()
    with device.repeatable():
        scores = round_.family.linear_loss(model, federation, prepared)
        for rows in torch.arange(len(batch)).split(federation.training.batch_size):
            part = patients.select(rows)
            loss = round_.family.loss(model, part, federation, prepared) if scores is None else scores(part)
            losses.append(loss.detach())
            gradients = torch.autograd.grad(loss.sum(), list(fitted.values()), allow_unused=True)
            for total, gradient in zip(totals.values(), gradients, strict=True):
                if gradient is not None:
                    total += gradient
    most = federation.steepest_score
    with torch.no_grad():
        for name, weight in fitted.items():
            if count := behind[groups[name]]:
                weight.sub_((totals[name] / count).clamp(-most, most))
    if not are_finite([*losses, *fitted.values()]):
        raise Refusal(RefusalCode.TRAINING_DIVERGED)
    return torch.cat(losses)
