"""Interval of a round's concordance, from the patients and pairs that hospitals tell.

Events are not told in a round. Of a time to an event without censoring, e events among n patients make
e (n - e) + e (e - 1) / 2 comparable pairs. The smallest e that makes the told pairs is taken,
which makes the interval rather too wide, because censored patients make fewer pairs.
"""

import math

from common.agreement.agreement import Agreement
from common.families.registry import family_of
from common.messages.validation import VALIDATION_PATIENTS, comparable, noise_of_ratio, pairs_scale
from common.validation.estimate import NORMAL, IntervalEstimate
from common.validation.meta_analysis import Scale, concordance_error
from server.records.journal import RoundRecord


def concordance_of_round(
    record: RoundRecord, task: str, agreement: Agreement
) -> tuple[IntervalEstimate, int, int]:
    """Return (concordance with its interval, validation patients, pairs) of a task in a round.

    The interval covers the choice of patients, and the noise that hospitals added.

    Args:
        record: of the round.
        task: of the agreement.
        agreement: of the run.
    """
    value = record.concordance.get(task)
    pairs, patients = {}, {}
    for site, figures in record.sites.items():
        if (number := figures.metrics.get(comparable(task), 0.0)) > 0:
            pairs[site] = number
            patients[site] = figures.metrics.get(VALIDATION_PATIENTS, 0.0)
    total = sum(pairs.values())
    everybody = round(sum(patients.values()))
    if value is None or not total:
        return IntervalEstimate(), everybody, round(total)
    events = sum(least_events(number, patients[site]) for site, number in pairs.items())
    others = max(everybody - events, 1)
    inside = min(max(value, 1 / (2 * total)), 1 - 1 / (2 * total))
    error = concordance_error(inside, max(events, 1), others) * inside * (1 - inside)
    score = next((score for score in family_of(agreement).scores(agreement) if score.name == task), None)
    if score is not None and agreement.statistics.loss_noise:
        scores = len(family_of(agreement).scores(agreement))
        scale = agreement.statistics.loss_noise
        deviations = [
            scale * pairs_scale(score.of_one(number), scores) for number in map(int, patients.values())
        ]
        error = math.hypot(error, noise_of_ratio(value, total, deviations))
    reach = NORMAL * error / (inside * (1 - inside))
    middle = Scale.LOGIT.of(inside)
    low, high = Scale.LOGIT.back(middle - reach), Scale.LOGIT.back(middle + reach)
    return IntervalEstimate.of(value, min(low, value), max(high, value)), everybody, round(total)


def least_events(pairs: float, patients: float) -> int:
    """Return the fewest events among so many patients that can make so many pairs."""
    if patients <= 1:
        return 1
    inside = (2 * patients - 1) ** 2 - 8 * min(pairs, patients * (patients - 1) / 2)
    return max(1, math.ceil(((2 * patients - 1) - math.sqrt(max(inside, 0.0))) / 2 - 1e-9))
