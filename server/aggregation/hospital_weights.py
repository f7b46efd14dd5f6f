"""Weights of hospitals in averages, within declared sizes and fixed for a run.

Nothing that a hospital says of itself makes it count for more: where the file declares sizes, a hospital counts by its
training patients up to its size; where it declares none, and under privacy, every hospital counts as 1. Its first
number of patients in a group holds for the whole run: with weights that changed from round to round, a hospital could
set the model in one round and read in the next what the others made of it alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from common.agreement.agreement import Agreement
from common.messages.exchange import Numbers
from common.models.parameter_groups import AveragingWeights, Counted, ParameterGroup, counted
from server.aggregation.replies import UnusableReplyError
from server.records.dropped import DropReason

FirstNumbers = dict[str, dict[str, float]]
"""Hospital -> averaging group -> patients in the first reply in which the hospital trained it."""


@dataclass
class HospitalWeights:
    """Weights of a run's hospitals in the average of every group.

    Attributes:
        federation: the agreement.
        first: grows as hospitals reply; a checkpoint holds it.
    """

    federation: Agreement
    first: FirstNumbers = field(default_factory=dict)

    def check(self, numbers: Numbers, groups: Iterable[ParameterGroup], enrolled: int) -> None:
        """Refuse numbers of patients that no hospital can have.

        They are whole and no more than the `enrolled` training patients of the hospital's statistics, which in turn are
        within the declared size; no group has more than the shared one, which has some. Under privacy all are 0 or 1.

        Raises:
            UnusableReplyError: if they differ.
        """
        weights = AveragingWeights.from_numbers(numbers, groups, counted(self.federation.privacy))
        most = enrolled if self.federation.privacy is None else 1
        is_possible = all(
            0 <= number <= min(weights.shared, most) and number == int(number)
            for number in weights.by_group.values()
        )
        if not (is_possible and weights.shared >= 1):
            raise UnusableReplyError(DropReason.WEIGHT_INVALID)

    def of(self, site: str, numbers: Numbers, groups: Iterable[ParameterGroup]) -> AveragingWeights:
        """Weights of a hospital whose numbers of patients were checked; its first ones stay."""
        first = self.first.setdefault(site, {})
        sizes = self.federation.declared_patients
        alike = self.federation.privacy is not None or sizes is None

        def weight(group: ParameterGroup) -> float:
            if not numbers.get(group.name):
                return 0.0
            patients = first.setdefault(group.name, numbers[group.name])
            return 1.0 if alike or sizes is None else min(patients, float(sizes[site]))

        counts = Counted.HOSPITALS if alike else Counted.UNITS
        return AveragingWeights({group: weight(group) for group in groups}, counts)
