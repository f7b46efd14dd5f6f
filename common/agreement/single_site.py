"""Agreement of one participant with itself, for a site alone and for pooled data."""

from typing import TypeVar

from common.agreement.agreement import Agreement
from common.agreement.settings import LARGEST_COHORT, Participant, Wire

A = TypeVar("A", bound=Agreement)


def agreement_of_one(agreement: A, name: str) -> A:
    """Agreement of one participant with itself: no withholding, no noise, no compression."""
    statistics = agreement.statistics.model_copy(update={"minimum_count": 1, "loss_noise": 0.0})
    participants = (Participant(name=name, patients=LARGEST_COHORT),)
    return agreement.model_copy(
        update={"participants": participants, "statistics": statistics, "privacy": None, "wire": Wire()}
    )
