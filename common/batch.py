"""Patients as tensors: values with masks, never imputed, never an identifier."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class PatientBatch:
    """A batch of P patients.

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

    def __len__(self) -> int:
        """Number of patients."""
        return len(next(iter(self.values.values())))

    def present(self, modality: str) -> Tensor:
        """[P] bool: patients with anything observed in the modality."""
        return self.observed[modality].any(dim=1)

    def select(self, patients: Tensor) -> "PatientBatch":
        """The patients at these indices ([K] long) or under this mask ([P] bool)."""
        return PatientBatch(
            *(
                {name: tensor[patients] for name, tensor in getattr(self, field.name).items()}
                for field in fields(self)
            )
        )


def concatenate(batches: Sequence[PatientBatch]) -> PatientBatch:
    """All patients of several batches of the same federation, in order."""
    first = batches[0]
    return PatientBatch(
        *(
            {
                name: torch.cat([getattr(batch, field.name)[name] for batch in batches])
                for name in getattr(first, field.name)
            }
            for field in fields(first)
        )
    )
