"""Part of an assessment that learns how the tables of training patients look.

It asks two questions. The first is for sums of columns, also of those of one name in two modalities, and, of hospitals
with enough patients, for products of a modality's values with random signs. The second, with what all hospitals gave,
is for sums of the check figures of ordinary and of spoilt tables.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.agreement.federation import Federation
from common.assessment.part import Arrays, Asked, Part, SiteSums, Sum, Whose
from common.release.members import STRUCTURE
from common.structure import arrays
from common.structure.arrays import QUESTIONS
from common.structure.plan import pairs, wide_modalities

if TYPE_CHECKING:
    from common.assessment.patient_view import PatientView


class StructurePart:
    """Sums that say how ordinary tables look; see `common.assessment.part.Part`."""

    name = "structure"
    whose = Whose.TRAINING
    member = STRUCTURE

    def questions(self, agreement: Federation) -> int:
        """Two, of a federation with a wide modality or two that share columns."""
        return QUESTIONS if wide_modalities(agreement) or pairs(agreement) else 0

    def asked(self, agreement: Federation, number: int) -> Mapping[str, Asked]:
        """Nothing first; then means of columns and products, and mean moments of pairs."""
        return arrays.asked_arrays(agreement, number)

    def sums(self, agreement: Federation, number: int) -> Mapping[str, Sum]:
        """Sums of the question."""
        return arrays.answered_sums(agreement, number)

    def computed(self, view: "PatientView", asked: Arrays, number: int) -> Arrays:
        """Compute the sums."""
        from common.structure import site_sums

        return site_sums.computed(view.federation, view.patients, view.prepared, view.least, asked, number)

    def next(self, agreement: Federation, sites: Mapping[str, SiteSums], number: int) -> Arrays:
        """Make means over the patients of all hospitals."""
        from common.structure.content import next_arrays

        return next_arrays(agreement, sites)

    def content(self, agreement: Federation, sites: Mapping[str, SiteSums]) -> bytes | None:
        """Make directions, moments of pairs and limits."""
        from common.structure.content import structure_content

        return structure_content(agreement, sites)


PART: "Part[Federation, PatientView]" = StructurePart()
