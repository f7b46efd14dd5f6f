"""The patients' family of records: tables with a row per patient.

What needs torch is imported inside the methods, because the egress gate asks for names and shapes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from common.agreed import Problem
from common.agreement.federation import OUTCOMES, Federation
from common.comparison.quantity import Quantity
from common.families.family import Ends, Score, Shapes, Words
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.messages.validation import LOSS_CEILING, ValidationSums
from common.models.parameter_groups import AveragingWeights, ModelGroups
from common.patients import compared, declared_sums, noised_sums

if TYPE_CHECKING:
    from torch import Tensor

    from common.families.family import Family
    from common.models.federated import FederatedModel
    from common.models.graphs import Prior
    from common.patients.batch import PatientBatch
    from common.patients.preprocessing import Preprocessing


class PatientFamily:
    """Patients as a family; see `common.families.family.Family`."""

    def words(self, agreement: Federation) -> Words:
        """Patients, whatever a federation calls its own."""
        return Words("patient", "patients")

    def public(self, agreement: Federation, folder: Path) -> Prior:
        """Graphs between nodes and pathways."""
        from common.models.graphs import load_prior

        return load_prior(agreement, folder)

    def model(self, agreement: Federation, public: Prior, seed: int) -> FederatedModel:
        """The network that the federation file describes."""
        from common.models.registry import initial_model

        return initial_model(agreement, public, seed)

    def sums(self, agreement: Federation) -> Shapes:
        """Moments of every modality's nodes, and of the quantities of every task that shares any."""
        return declared_sums.sums(agreement)

    def ends(self, agreement: Federation) -> Ends:
        """Plausible ranges of columns and tasks; levels of categories are 0 or 1."""
        return declared_sums.ends(agreement)

    def sources(self, agreement: Federation) -> Mapping[str, str]:
        """The modalities' tables, and the outcomes for the tasks' quantities."""
        return declared_sums.sources(agreement)

    def quantities(self, agreement: Federation) -> tuple[Quantity, ...]:
        """Numeric columns, times of events, and follow-up."""
        return compared.quantities(agreement)

    def noise_of_means(self, agreement: Federation) -> Mapping[str, declared_sums.Array]:
        """Deviations in the columns' units."""
        return compared.noise_of_means(agreement)

    def unit_table(self, agreement: Federation) -> str:
        """Outcomes: every patient has a row there."""
        return OUTCOMES

    def statistics(self, records: PatientBatch, agreement: Federation, least: int) -> SiteStatistics:
        """Moments over patients."""
        from common.patients import preprocessing

        return preprocessing.site_statistics(records, agreement, least)

    def noised_sums(self, agreement: Federation) -> tuple[int, float]:
        """Three sums of every triple, to each of which a patient adds at most 1."""
        return 3 * noised_sums.triples(agreement), noised_sums.sensitivity(agreement)

    def noised_statistics(
        self, noised: declared_sums.Array, agreement: Federation, noise_multiplier: float
    ) -> SiteStatistics:
        """Moments in the columns' units."""
        return noised_sums.statistics_of(noised, agreement, noise_multiplier)

    def preparation(self, agreement: Federation) -> Shapes:
        """Center and spread of every modality's nodes, and what every task's loss needs."""
        return declared_sums.preparation(agreement)

    def combine(self, sites: Sequence[SiteStatistics], agreement: Federation) -> Preprocessing:
        """Scaling and hazard intervals of the pooled patients."""
        from common.patients import preprocessing

        return preprocessing.combine(sites, agreement)

    def declared(self, agreement: Federation) -> Preprocessing:
        """Scaling and hazard intervals by typical ranges."""
        from common.patients import preprocessing

        return preprocessing.declared(agreement)

    def is_plausible(
        self, prepared: Preprocessing, agreement: Federation, sums: SiteStatistics | None, units: int
    ) -> bool:
        """Whether scaling and hazard intervals lie within what file and site's sums allow."""
        from common.patients import plausibility

        return plausibility.is_plausible(prepared, agreement, sums, units)

    def packed(self, prepared: Preprocessing) -> Arrays:
        """Scaling and hazard intervals as arrays."""
        from common.patients import preprocessing

        return preprocessing.pack_preprocessing(prepared)

    def unpacked(self, arrays: Arrays) -> Preprocessing:
        """The inverse of `packed`."""
        from common.patients import preprocessing

        return preprocessing.unpack_preprocessing(arrays)

    def groups(self, agreement: Federation, parameters: Iterable[str]) -> ModelGroups:
        """Averaging groups of the model that the federation file names."""
        from common.models.registry import model_groups

        return model_groups(agreement, parameters)

    def scores(self, agreement: Federation) -> tuple[Score, ...]:
        """Concordance of every task."""
        return tuple(Score(task.name, task.fewest_pairs, task.most_pairs) for task in agreement.tasks)

    def apply(self, records: PatientBatch, prepared: Preprocessing) -> PatientBatch:
        """Patients with standardised values."""
        return prepared.apply(records)

    def loss(
        self, model: FederatedModel, records: PatientBatch, agreement: Federation, prepared: Preprocessing
    ) -> Tensor:
        """Loss per patient over all tasks."""
        from common.families.patient_loss import patient_loss

        return patient_loss(model, records, agreement, prepared.cuts)

    def ceiling(self, agreement: Federation) -> float:
        """The same for every task."""
        return LOSS_CEILING * len(agreement.tasks)

    def linear_loss(
        self, model: FederatedModel, agreement: Federation, prepared: Preprocessing
    ) -> Callable[[PatientBatch], Tensor] | None:
        """Loss per patient by the additive scores alone."""
        from common.families.patient_loss import linear_loss

        linear = model.linear_forward()
        return (
            None if linear is None else partial(linear_loss, linear, federation=agreement, cuts=prepared.cuts)
        )

    def evaluate(
        self,
        outputs: dict[str, Tensor],
        records: PatientBatch,
        agreement: Federation,
        prepared: Preprocessing,
        least: int,
    ) -> ValidationSums:
        """Sum losses and pairs over patients.

        One event among nine patients makes eight pairs, which all depend on that patient.
        """
        from common.patients.objective import multitask_loss

        loss = multitask_loss(agreement.tasks, outputs, records, prepared.cuts, None)
        pairs = {
            task.name: task.pairs(
                outputs[task.name], records.labels[task.name], records.labelled[task.name], least
            )
            for task in agreement.tasks
        }
        counted = loss.double().nan_to_num(math.inf).clamp(0.0, self.ceiling(agreement))
        return ValidationSums(float(counted.sum()), float(len(records)), pairs)

    def behind(self, records: PatientBatch, groups: ModelGroups) -> AveragingWeights:
        """Number of patients who have a group's modality and are labelled for its task."""
        return groups.patients_behind(records)

    def probe(self, agreement: Federation, units: int) -> PatientBatch:
        """Made-up patients."""
        from common.patients.guarantee import made_up_patients

        return made_up_patients(agreement, units)

    def contradictions(self, agreement: Federation) -> Iterator[Problem]:
        """Dropout, learnt task weights, and columns without limits under noised sums."""
        from common.patients.guarantee import contradictions

        return contradictions(agreement)

    def malformed(self, agreement: Federation, folder: Path) -> Iterator[Problem]:
        """Graphs that are no pairs."""
        from common.patients.prior_files import malformed

        return malformed(agreement, folder)

    def idle(self, agreement: Federation, folder: Path) -> Iterator[Problem]:
        """Columns without a scale, and graphs that name no column."""
        from common.patients.prior_files import idle
        from common.patients.unscaled import unscaled

        yield from unscaled(agreement)
        yield from idle(agreement, folder)


FAMILY: Family[Federation, FederatedModel, PatientBatch, Preprocessing, Prior] = PatientFamily()
