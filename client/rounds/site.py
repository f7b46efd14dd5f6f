"""Hospital's cohort under the approved federation file and the hospital's policy."""

from dataclasses import dataclass
from pathlib import Path

from client.families.reader import Holding
from client.families.registry import reader_of
from client.privacy.noise import Noise, StepsOfRound
from client.rounds.split import Split, split
from client.site_folder.policy import Policy, Terms, agree
from client.training.device import Device
from common.agreement.agreement import Agreement
from common.errors import Refusal, RefusalCode
from common.families.family import AnyFamily, Public
from common.families.registry import family_of
from common.messages.packing import Arrays
from common.models.shared import SharedModel
from common.records import Records


@dataclass(frozen=True)
class Site:
    """Hospital that is ready to answer requests, made by `client.rounds.assembly`.

    Attributes:
        folder: the site folder.
        federation: the approved federation file.
        digest: hash of the federation file.
        policy: what the hospital allows.
        device: where the hospital trains.
        cohort: the records, on the CPU.
        key: secret of the site, from which the noise on losses follows.
        public: knowledge from the public files of the agreement, such as graphs.
        simulated: whether somebody who has all of its data plays it, so that nothing is disclosed.
        model: on the device. Sites of one process share it: every request brings all weights anew.
        initial: weights that a run begins with, drawn from the agreement's seed.
        gate_steps: begins private steps at the gate; None where this process takes them itself.
        gate_noise: adds the noise of statistics at the gate; None where this process does.
    """

    folder: Path
    federation: Agreement
    digest: str
    policy: Policy
    device: Device
    cohort: Holding
    model: SharedModel
    initial: Arrays
    key: bytes
    public: Public
    simulated: bool = False
    gate_steps: StepsOfRound | None = None
    gate_noise: Noise | None = None

    @property
    def untrained(self) -> frozenset[str]:
        """Parameters and buffers that no participant trains under the agreement."""
        learnable = self.model.groups().learnable(self.federation.privacy)
        return frozenset(self.initial) - (learnable & {name for name, _ in self.model.named_parameters()})

    @property
    def terms(self) -> Terms:
        """Terms on which the hospital takes part.

        Raises:
            Refusal: if the hospital's policy does not allow taking part.
        """
        return agree(self.policy, self.federation, len(self.cohort.records))

    @property
    def absent(self) -> frozenset[str]:
        """Parts of the records that this hospital has no table of."""
        return reader_of(self.federation).absent(self.cohort, self.federation)

    @property
    def family(self) -> AnyFamily:
        """Family of the agreement's records."""
        return family_of(self.federation)

    def split_records(self, fold: int) -> tuple[Records, Records]:
        """Split the records outside the held-out `fold` into (training, validation).

        Raises:
            Refusal: as `split_indices`.
        """
        indices = self.split_indices(fold)
        return self.cohort.records.select(indices.training), self.cohort.records.select(indices.validation)

    def split_indices(self, fold: int) -> Split:
        """Split the records outside the held-out `fold` by what they are for.

        With privacy all of them train.

        The split follows the agreement alone. If a request could choose it, the sums over many different splits would
        give away every patient's values.

        Raises:
            Refusal: without privacy, if there are too few to train on, or fewer than the minimum count.
        """
        taking_part = ((self.cohort.fold != fold) | (self.cohort.fold < 0)).nonzero().squeeze(1)
        if self.federation.privacy is not None:
            # a refusal would give a number of patients away, and an empty sample is safe
            nobody = taking_part[:0]
            return Split(taking_part, nobody, nobody, nobody)
        if len(taking_part) < 2:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        indices = split(len(taking_part), self.federation.training)
        if len(indices.training) < self.terms.minimum_count:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        return Split(*(taking_part[part] for part in indices))
