"""Patients as tensors: values with masks, never imputed, never an identifier."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad

from common.records import moved

_PARTS = ("values", "observed", "labels", "labelled")


@dataclass(frozen=True)
class PatientBatch:
    """Batch of P patients on any device, all tensors on the same.

    Attributes:
        values: modality -> [P, nodes] float32; 0 where not observed.
        observed: modality -> [P, nodes] bool. A modality with no observed node is absent for that patient.
        labels: task -> [P, columns] float32 in the order of the task's `columns`; 0 where unknown. A survival
            task has time (in its unit) and event (0/1), a response task the class index, a toxicity task 0/1.
        labelled: task -> [P, columns] bool; for survival both columns are known or neither.
    """

    values: dict[str, Tensor]
    observed: dict[str, Tensor]
    labels: dict[str, Tensor]
    labelled: dict[str, Tensor]
    _present: dict[str, Tensor] = field(init=False, repr=False, compare=False, default_factory=dict)
    """Cached `present` masks on the CPU, which spare waiting for a GPU."""

    def __len__(self) -> int:
        """Number of patients."""
        return len(next(iter(self.values.values())))

    @property
    def device(self) -> torch.device:
        """Device of the tensors."""
        return next(iter(self.values.values())).device

    @property
    def size(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.nbytes for part in _PARTS for tensor in getattr(self, part).values())

    def present(self, modality: str) -> Tensor:
        """[P] bool: patients with any observed value in the modality.

        It is on the CPU unless set by `with_present`. The mask decides which rows a model computes, and a decision by
        a tensor on a GPU would wait for the GPU.
        """
        cached = self._present.get(modality)
        return self.observed[modality].any(dim=1).cpu() if cached is None else cached

    def with_present(self, present: dict[str, Tensor]) -> "PatientBatch":
        """Return the same patients with `present` masks that lie wherever they are, on a GPU too.

        They are for models that compute every patient in every branch.
        """
        same = PatientBatch(*(getattr(self, part) for part in _PARTS))
        same._present.update(present)
        return same

    def select(self, patients: Tensor) -> "PatientBatch":
        """Select patients by index ([K] long) or mask ([P] bool), which are on the CPU."""
        if patients.dtype == torch.bool:
            patients = patients.nonzero().squeeze(1)
        rows = moved(patients, self.device)
        chosen = PatientBatch(
            *({name: tensor[rows] for name, tensor in getattr(self, part).items()} for part in _PARTS)
        )
        chosen._present.update({name: mask[patients] for name, mask in self._present.items()})
        return chosen

    def to(self, device: torch.device) -> "PatientBatch":
        """Copy the patients to a device without waiting for the copies."""
        if device == self.device:
            return self
        copy = PatientBatch(
            *(
                {name: moved(tensor, device) for name, tensor in getattr(self, part).items()}
                for part in _PARTS
            )
        )
        copy._present.update({name: self.present(name) for name in self.observed})
        return copy

    def padded(self, units: int) -> "PatientBatch":
        """Add patients with nothing observed and no label, up to so many patients in all."""
        more = (0, 0, 0, units - len(self))
        padded = PatientBatch(
            *({name: pad(tensor, more) for name, tensor in getattr(self, part).items()} for part in _PARTS)
        )
        padded._present.update({name: pad(mask, more[2:]) for name, mask in self._present.items()})
        return padded


def concatenate(batches: Sequence[PatientBatch]) -> PatientBatch:
    """Join batches of the same federation, in order."""
    return PatientBatch(
        *(
            {
                name: torch.cat([getattr(batch, part)[name] for batch in batches])
                for name in getattr(batches[0], part)
            }
            for part in _PARTS
        )
    )
