"""Limits of hospitals that nobody has edited: what they would decline of a federation file.

A hospital's policy is its own, so these are warnings and no faults; the limits are those of a `site.toml` without a
`[policy]` table.
"""

from collections.abc import Iterator

from common.agreed import Problem
from common.agreement.agreement import Agreement
from common.agreement.reach import UNDECLARED_PATIENTS, USUAL_REACH, largest_hospital, widest_round

LARGEST_BATCH = 4096


def usually_declined(agreement: Agreement) -> Iterator[Problem]:
    """Settings that hospitals decline unless they edit their policy."""
    if agreement.linear_rounds > 0:
        what = (
            f"is {agreement.linear_rounds}, and a hospital allows none of these rounds unless its site.toml says "
            "otherwise: exact gradients can tell of single patients"
        )
        remedy = "leave it out, or agree with every hospital on policy.maximum_linear_rounds = "
        "{agreement.linear_rounds}"
        yield Problem(("training", "linear_rounds"), what, remedy)
    if agreement.privacy is not None:
        return
    largest = largest_hospital(agreement)
    if largest > UNDECLARED_PATIENTS:
        what = f"has a hospital of {largest:,} patients, and hospitals allow {UNDECLARED_PATIENTS:,} without [privacy]"
        remedy = f"agree with every hospital on policy.largest_hospital = {largest}, or add [privacy]"
        yield Problem(("participants",), what, remedy)
    reach = widest_round(agreement)
    if reach > USUAL_REACH:
        sized = (
            "of the declared size"
            if agreement.declared_patients
            else f"of {largest:,} patients, as none is declared,"
        )
        what = (
            f"lets a round at a hospital {sized} move a weight of size 1 by {reach:.2g}, and hospitals allow "
            f"{USUAL_REACH:g} without [privacy]"
        )
        yield Problem(("training",), what, _nearer(agreement))


def _nearer(agreement: Agreement) -> str:
    """Remedy for rounds that go too far: sizes, or the smallest batch that is enough."""
    declare = "" if agreement.declared_patients else "declare patients of all participants, "
    size = agreement.training.batch_size
    while size < LARGEST_BATCH:
        size *= 2
        training = agreement.training.model_copy(update={"batch_size": size})
        if widest_round(agreement.model_copy(update={"training": training})) <= USUAL_REACH:
            enough = f"write batch_size = {size}"
            break
    else:
        enough = "lower learning_rate or local_epochs"
    return f"{declare}{enough}, or agree with every hospital on a higher policy.maximum_reach"
