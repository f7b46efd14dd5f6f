"""One round of training or evaluation at a hospital, without the patients and the model."""

from dataclasses import dataclass

from torch import Tensor

from client.training.device import CPU, Device
from common.agreement.federation import Federation


@dataclass(frozen=True)
class Round:
    """The circumstances of a round.

    Attributes:
        federation: the agreement.
        cuts: survival task -> ends of its hazard intervals, on the CPU.
        number: 1 for the first.
        seed: of dropout and the order of patients; private training draws from the operating system instead.
        device: where to compute.
    """

    federation: Federation
    cuts: dict[str, Tensor]
    number: int = 1
    seed: int = 0
    device: Device = CPU
