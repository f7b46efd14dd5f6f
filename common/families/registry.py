"""The family of an agreement, imported when first asked for."""

from common.agreement.agreement import Agreement
from common.agreement.kinds import kind_named, part
from common.families.family import AnyFamily


def family_of(agreement: Agreement) -> AnyFamily:
    """Return the family of an agreement's kind of record.

    It takes agreements and records of that kind alone.
    """
    family: AnyFamily = part(kind_named(agreement.kind).family)
    return family
