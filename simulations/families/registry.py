"""The study of an agreement's kind of record, imported when first asked for."""

from common.agreement.agreement import Agreement
from common.agreement.kinds import kind_named, part
from common.errors import InvalidContentError
from simulations.families.study import AnyStudy


def study_of(agreement: Agreement) -> AnyStudy:
    """Return the study of an agreement's kind of record.

    It takes agreements of that kind alone.

    Raises:
        InputError: if the kind has no study.
    """
    path = kind_named(agreement.kind).study
    if path is None:
        what = f"is about {agreement.kind}, which have no study to simulate them with"
        raise InvalidContentError(
            f"federation {agreement.name}, kind",
            what,
            "train a federation of sites, or simulate another kind",
        )
    study: AnyStudy = part(path)
    return study
