"""One round of training or evaluation at a hospital, without the records and the model."""

from dataclasses import dataclass

from client.training.device import CPU, Device
from common.agreement.agreement import Agreement
from common.families.family import AnyFamily
from common.families.registry import family_of
from common.records import Prepared


@dataclass(frozen=True)
class Round:
    """The circumstances of a round.

    Attributes:
        federation: the agreement.
        prepared: the run's preprocessing, on the CPU.
        number: 1 for the first.
        seed: of dropout and the order of records; private training draws from the operating system instead.
        device: where to compute.
    """

    federation: Agreement
    prepared: Prepared
    number: int = 1
    seed: int = 0
    device: Device = CPU

    @property
    def family(self) -> AnyFamily:
        """Family of the agreement's records."""
        return family_of(self.federation)
