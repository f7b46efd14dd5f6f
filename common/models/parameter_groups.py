"""Averaging groups of a model's parameters, and the hospitals' weights in their averages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Self

from common.agreement.privacy_settings import Privacy

if TYPE_CHECKING:  # the egress gate reads groups, and is spared torch
    from torch import Tensor

    from common.patients.batch import PatientBatch


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that are averaged together, over the hospitals whose patients train them.

    Attributes:
        name: in messages, receipts and journals.
        modality: patients who lack the modality do not train the group; None if every patient does.
        task: patients without a label of the task do not train the group; None if every patient does.
    """

    name: str
    modality: str | None = None
    task: str | None = None

    SHARED: ClassVar[ParameterGroup]
    """The parameters that every patient trains, called `patients` in messages since their first version."""


ParameterGroup.SHARED = ParameterGroup("patients")


class Counted(StrEnum):
    """The unit in which a hospital's weight in an average is counted."""

    UNITS = "patients"
    """Units of privacy; the value was given when the only unit was a patient, and stays for what is written."""
    HOSPITALS = "hospitals"


@dataclass(frozen=True)
class AveragingWeights:
    """A hospital's weight in the average of every group.

    Attributes:
        by_group: group -> weight, 0 or more, in the order of a message.
        counts: the unit; with privacy every hospital counts as one, whatever the number of its patients.
    """

    by_group: Mapping[ParameterGroup, float]
    counts: Counted

    def __getitem__(self, group: ParameterGroup) -> float:
        """Weight in the average of a group."""
        return self.by_group[group]

    @property
    def shared(self) -> float:
        """Weight in the average of the parameters that every patient trains."""
        return self.by_group[ParameterGroup.SHARED]

    def without_few(self, least: int) -> Self:
        """Return the weights, with 0 for groups of fewer patients than `least`.

        The update of such a group is not sent.
        """
        kept = {group: weight if weight >= least else 0.0 for group, weight in self.by_group.items()}
        return type(self)(kept, self.counts)

    def to_numbers(self) -> dict[str, float]:
        """Name of a group -> weight, the form of a message."""
        return {group.name: weight for group, weight in self.by_group.items()}

    @classmethod
    def from_numbers(
        cls, numbers: Mapping[str, float], groups: Iterable[ParameterGroup], counts: Counted
    ) -> Self:
        """Read a message's numbers; a group that the message does not name has weight 0."""
        return cls({group: numbers.get(group.name, 0.0) for group in groups}, counts)


def counted(privacy: Privacy | None) -> Counted:
    """The unit of averaging weights under an agreement."""
    return Counted.UNITS if privacy is None else Counted.HOSPITALS


@dataclass(frozen=True)
class ModelGroups:
    """The averaging group of every parameter of a model.

    Attributes:
        by_parameter: parameter -> group.
        linear: parameters of the model's additive linear part, on which noise does least harm.
        groups: all groups of the model, in the order of a message.
    """

    by_parameter: Mapping[str, ParameterGroup]
    linear: frozenset[str] = frozenset()
    groups: tuple[ParameterGroup, ...] = field(default=(ParameterGroup.SHARED,))

    def __getitem__(self, parameter: str) -> ParameterGroup:
        """The group of a parameter."""
        return self.by_parameter[parameter]

    def learnable(self, privacy: Privacy | None, absent: frozenset[str] = frozenset()) -> frozenset[str]:
        """Parameters that a hospital without the `absent` modalities may change.

        Noise on a parameter that no patient moves would only do harm, so private training leaves the others alone.
        """
        everything = privacy is None or privacy.learn == "all"
        return frozenset(
            name
            for name, group in self.by_parameter.items()
            if group.modality not in absent and (everything or name in self.linear)
        )

    def trained_in(self, round_: int, linear_rounds: int) -> frozenset[str]:
        """Parameters that a round trains.

        The linear part alone in the first `linear_rounds`, and the rest in the others; everything without such rounds.
        """
        if not linear_rounds:
            return frozenset(self.by_parameter)
        return self.linear if round_ <= linear_rounds else frozenset(self.by_parameter) - self.linear

    def patients_behind(self, batch: PatientBatch) -> AveragingWeights:
        """The number of patients of a batch that train every group."""
        patients = self.patients_in(batch)
        return AveragingWeights({g: float(seen.sum()) for g, seen in patients.items()}, Counted.UNITS)

    def patients_in(self, batch: PatientBatch) -> dict[ParameterGroup, Tensor]:
        """Patients of a batch that train every group, [P] bool on the CPU."""

        modalities = {group.modality for group in self.groups if group.modality is not None}
        tasks = {group.task for group in self.groups if group.task is not None}
        present = {name: batch.present(name) for name in modalities}
        labelled = {name: batch.labelled[name].any(1) for name in tasks}

        def patients(group: ParameterGroup) -> Tensor:
            having = [present[group.modality]] if group.modality is not None else []
            having += [labelled[group.task]] if group.task is not None else []
            if not having:
                import torch

                return torch.ones(len(batch), dtype=torch.bool)
            return having[0] & having[-1]

        return {group: patients(group) for group in self.groups}

    def hospitals_behind(self, absent: frozenset[str]) -> AveragingWeights:
        """Return weight 1 for every group, but 0 for groups of the `absent` modalities.

        It counts the hospital, and no patient.
        """
        weights = {group: 0.0 if group.modality in absent else 1.0 for group in self.groups}
        return AveragingWeights(weights, Counted.HOSPITALS)
