"""A device with as much free memory as a test says."""

from dataclasses import dataclass

from client.training.device import Device
from client.training.memory import PASSES, USED, kept_per_unit
from common.models.shared import SharedModel


@dataclass(frozen=True)
class SmallDevice(Device):
    """The CPU, or a GPU, with `room` bytes left."""

    room: int = 0

    def free_bytes(self) -> int:
        return self.room


def room_for(model: SharedModel, patients: float, private: bool = False) -> int:
    """Bytes that a step with so many patients at once needs."""
    per_patient = PASSES * kept_per_unit(model)
    if private:
        per_patient += 3 * sum(own.nbytes for own in model.parameters() if own.requires_grad)
    return int(patients * per_patient / USED)
