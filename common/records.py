"""Records and their preprocessing as code sees them that does not know what they are."""

from typing import Protocol, Self

import torch
from torch import Tensor


class Records(Protocol):
    """Records by unit of privacy, such as patient, pair or compound.

    A unit's data belong to it alone.
    """

    def __len__(self) -> int:
        """Number of units, never of rows."""
        ...

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        ...

    @property
    def device(self) -> torch.device:
        """Device of all tensors."""
        ...

    def select(self, units: Tensor, /) -> Self:
        """Return the units at these indices ([K] long) or under this mask ([U] bool), on the CPU."""
        ...

    def to(self, device: torch.device, /) -> Self:
        """Return the same records on a device."""
        ...

    def padded(self, units: int, /) -> Self:
        """Return the same units and after them nobody, up to so many units in all.

        Nobody is a unit of the others' shape without values or labels.
        """
        ...


class Prepared(Protocol):
    """Preprocessing of a run: scaling of the model's inputs and constants of the loss."""

    def to(self, device: torch.device, /) -> Self:
        """Return the same on a device."""
        ...


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device; to a GPU from pinned memory, so that the program goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
