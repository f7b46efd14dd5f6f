"""Search for a slot size at which this machine rounds every patient's row alike.

Nothing promises that a row of a product of constant shape is rounded the same in every place and beside all other
rows: kernels treat the ends of a matrix apart, vector loops leave a tail, threads share the work. So the machine is
asked before patients are computed, with the model to be trained and made-up patients: gradients must be the same bit
by bit when the patients change places, and when most of them are not there. Where they are not, smaller slots are
tried, down to one patient alone, beside whom nobody is.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from client.privacy.clipping import PatientGradients, patient_gradients
from client.privacy.kernels import choose_kernels
from client.privacy.slots import Slot, in_slots
from common.models.shared import SharedModel
from common.records import Records

choose_kernels()

log = logging.getLogger("consilium.privacy")

R = TypeVar("R", bound=Records)

LARGEST = 32
"""Rows of the largest slot: beyond it rows of nobody cost more than fewer slots save."""

FEWEST = (2, 8)
"""Least rows for a part of a model, in the order in which they are tried."""

ALONE = Slot(1, 1)
"""Every patient computed alone: right on any machine, and slow."""

_steady_slots: WeakKeyDictionary[nn.Module, dict[tuple[object, ...], Slot]] = WeakKeyDictionary()


def steady_slot(model: SharedModel, loss: Callable[[R], Tensor], linear: bool, made_up: R, most: int) -> Slot:
    """Return the largest slot in which no patient's gradient depends on others, to the bit.

    Looked for once per process, model, number of threads and set of trained parameters. Neither patients nor the
    weights of a request have a part in it.

    Args:
        model: on its device; its weights are the same afterwards.
        loss: gives one value per patient of a batch [B], from this model.
        linear: whether the loss is by the model's linear part alone.
        made_up: `LARGEST` made-up patients.
        most: patients for whom there is memory.
    """
    if model.ragged:
        return ALONE
    weight = next(model.parameters())
    units = min(LARGEST, 1 << (max(1, most).bit_length() - 1))
    trained = tuple(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    key = (units, linear, trained, weight.dtype, weight.device, torch.get_num_threads())
    slots = _steady_slots.setdefault(model, {})
    if key not in slots:
        made_up = made_up.to(weight.device)
        with _drawn_weights(model), patient_gradients(model) as gradients:
            slots[key] = next(
                (slot for slot in _slots(units) if is_steady(gradients, loss, made_up, slot)), ALONE
            )
        if slots[key].units < units:
            log.warning(
                "this machine rounds a patient by their place among others: %d are computed at a time",
                slots[key].units,
                extra={"code": "small-slots"},
            )
    return slots[key]


def _slots(units: int) -> Iterator[Slot]:
    """Yield slots to try, the best first, without a patient alone, which needs no trial."""
    yield from (Slot(units, fewest) for fewest in FEWEST if fewest < units)
    while units > 1:
        yield Slot(units, units)
        units //= 2


def is_steady(gradients: PatientGradients, loss: Callable[[R], Tensor], made_up: R, slot: Slot) -> bool:
    """Return whether patients' gradients stay the same in other places and beside fewer others.

    Args:
        gradients: watches the model that `loss` uses.
        loss: gives one value per patient of a batch [B].
        made_up: made-up patients, as many as the slot has rows or more.
        slot: numbers of rows.
    """
    order = torch.randperm(slot.units, generator=torch.Generator().manual_seed(0))
    with in_slots(gradients.model, slot):
        expected = _by_patient(gradients, loss, made_up, torch.arange(slot.units), slot)
        for places in (order, order.flip(0), order[: slot.units // 2], order[:1]):
            moved = _by_patient(gradients, loss, made_up, places, slot)
            if not all(
                torch.equal(before[places.to(before.device)], after)
                for before, after in zip(expected, moved, strict=True)
            ):
                return False
    return True


def _by_patient(
    gradients: PatientGradients, loss: Callable[[R], Tensor], made_up: R, places: Tensor, slot: Slot
) -> list[Tensor]:
    """Return all gradients [U, ...] of the made-up patients at `places` [U], in that order."""
    records = made_up.select(places).padded(slot.units)
    parts = gradients.per_patient(partial(loss, records), slot.units)
    tensors = []
    for parameter in gradients.parameters:
        if parameter not in parts:  # whoever is there adds nothing
            tensors.append(parameter.new_zeros(len(places), 1))
            continue
        part = parts[parameter]
        rows = torch.arange(slot.units) if part.rows is None else part.rows.cpu()
        row_of = torch.full((slot.units + 1,), len(rows)).index_copy(0, rows, torch.arange(len(rows)))
        chosen = row_of[: len(places)].to(parameter.device)
        tensors += [
            torch.cat([tensor, tensor.new_zeros(1, *tensor.shape[1:])])[chosen]
            for tensor in (part.gradients, part.factor)
            if tensor is not None
        ]
    return tensors


@contextmanager
def _drawn_weights(model: nn.Module) -> Iterator[None]:
    """Give the model weights on every path, always the same, and restore its own afterwards."""
    draw = torch.Generator().manual_seed(0)
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    try:
        with torch.no_grad():
            for parameter in model.parameters():
                drawn = torch.randn(parameter.shape, generator=draw)
                parameter.copy_(drawn * parameter.shape[-1] ** -0.5)
        yield
    finally:
        with torch.no_grad():
            for parameter, weights in zip(model.parameters(), kept, strict=True):
                parameter.copy_(weights)
