"""Hospital's cohort under the approved federation file and the hospital's policy."""

from dataclasses import dataclass
from pathlib import Path

import torch

from client.data.cohort import Cohort, split
from client.site_folder.policy import Policy, Terms, agree
from client.training.device import Device
from common.agreement.federation import Federation
from common.errors import Refusal, RefusalCode
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch


@dataclass(frozen=True)
class Site:
    """Hospital that is ready to answer requests, made by `client.rounds.assembly`.

    Attributes:
        folder: the site folder.
        federation: the approved federation file.
        digest: hash of the federation file.
        policy: what the hospital allows.
        device: where the hospital trains.
        cohort: the patients, on the CPU.
        model: on the device. Sites of one process share it: every request brings all weights anew.
    """

    folder: Path
    federation: Federation
    digest: str
    policy: Policy
    device: Device
    cohort: Cohort
    model: FederatedModel

    @property
    def terms(self) -> Terms:
        """Terms on which the hospital takes part.

        Raises:
            Refusal: if the hospital's policy does not allow taking part.
        """
        return agree(self.policy, self.federation, len(self.cohort.batch))

    @property
    def absent(self) -> frozenset[str]:
        """Modalities without a table at this hospital."""
        return frozenset(modality.name for modality in self.federation.modalities) - set(
            self.cohort.unmatched
        )

    def patients(self, fold: int) -> tuple[PatientBatch, PatientBatch]:
        """Split the patients outside the held-out `fold` into (training, validation).

        With privacy all of them train.

        The split follows the agreement alone. If a request could choose it, the sums over many different splits would
        give away every patient's values.

        Raises:
            Refusal: without privacy, if there are too few to train on, or fewer than the minimum count.
        """
        taking_part = (self.cohort.fold != fold) | (self.cohort.fold < 0)
        batch = self.cohort.batch.select(taking_part)
        if self.federation.privacy is not None:
            # a refusal would give a number of patients away, and an empty sample is safe
            return batch, batch.select(torch.arange(0))
        if len(batch) < 2:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        training, validation = split(
            len(batch), self.federation.training.validation_fraction, self.federation.training.seed
        )
        if len(training) < self.terms.minimum_count:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        return batch.select(training), batch.select(validation)
