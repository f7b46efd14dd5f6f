"""The family whose records are patients: tables of features and outcomes, one row per patient."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from common.agreement.federation import Federation
from common.families.family import Family, Score, Shapes, Words
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.models.federated import FederatedModel
from common.models.graphs import Prior, load_prior
from common.models.parameter_groups import ModelGroups
from common.models.registry import initial_model, model_groups
from common.patients import preprocessing
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.privacy import guarantee


class Patients:
    """Patients as a family; see `common.families.family.Family`."""

    def words(self, agreement: Federation) -> Words:
        """Patients, whatever a federation calls its own."""
        return Words("patient", "patients")

    def public(self, agreement: Federation, folder: Path) -> Prior:
        """Graphs between nodes and pathways."""
        return load_prior(agreement, folder)

    def model(self, agreement: Federation, public: Prior, seed: int) -> FederatedModel:
        """The network that the federation file describes."""
        return initial_model(agreement, public, seed)

    def sums(self, agreement: Federation) -> Shapes:
        """Moments of every modality's nodes, and of the quantities of every task that shares any."""
        return preprocessing.sums(agreement)

    def statistics(self, records: PatientBatch, agreement: Federation, least: int) -> SiteStatistics:
        """Moments over patients."""
        return preprocessing.site_statistics(records, agreement, least)

    def preparation(self, agreement: Federation) -> Shapes:
        """Center and spread of every modality's nodes, and what every task's loss needs."""
        return preprocessing.preparation(agreement)

    def combine(self, sites: Sequence[SiteStatistics], agreement: Federation) -> Preprocessing:
        """Scaling and hazard intervals of the pooled patients."""
        return preprocessing.combine(sites, agreement)

    def declared(self, agreement: Federation) -> Preprocessing:
        """Scaling and hazard intervals by typical ranges."""
        return preprocessing.declared(agreement)

    def packed(self, prepared: Preprocessing) -> Arrays:
        """Scaling and hazard intervals as arrays."""
        return preprocessing.pack_preprocessing(prepared)

    def unpacked(self, arrays: Arrays) -> Preprocessing:
        """The inverse of `packed`."""
        return preprocessing.unpack_preprocessing(arrays)

    def groups(self, agreement: Federation, parameters: Iterable[str]) -> ModelGroups:
        """Averaging groups of the model that the federation file names."""
        return model_groups(agreement, parameters)

    def scores(self, agreement: Federation) -> tuple[Score, ...]:
        """Concordance of every task."""
        return tuple(Score(task.name, task.fewest_pairs) for task in agreement.tasks)

    def apply(self, records: PatientBatch, prepared: Preprocessing) -> PatientBatch:
        """Patients with standardised values."""
        return prepared.apply(records)

    def probe(self, agreement: Federation, units: int) -> PatientBatch:
        """Made-up patients."""
        return guarantee.made_up_patients(agreement, units)

    def refuse(self, agreement: Federation) -> None:
        """Refuse dropout, learnt task weights, and columns without limits under noised sums."""
        guarantee.check_agreement(agreement)


FAMILY: Family[Federation, PatientBatch, Preprocessing, Prior] = Patients()
