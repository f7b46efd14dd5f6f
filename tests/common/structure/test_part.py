"""Part of an assessment that asks for structure."""

from common.agreement.modalities import Modality
from common.assessment.part import Whose
from common.release.members import is_expected
from common.structure.part import PART
from tests.common.structure import made


def test_a_federation_without_wide_tables_is_asked_nothing() -> None:
    narrow = Modality(name="clinical", node="clinical", columns=("age", "weight"))
    federation = made.federation()
    assert PART.questions(federation) == 2
    assert PART.questions(federation.model_copy(update={"modalities": (narrow,)})) == 0


def test_it_is_about_training_patients_and_makes_a_member_that_releases_may_have() -> None:
    assert (PART.name, PART.whose) == ("structure", Whose.TRAINING)
    assert is_expected(PART.member)
