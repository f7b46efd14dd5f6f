"""Plans of a federation's privacy: noise for a target epsilon, and its size in an update."""

import math
from dataclasses import dataclass
from typing import Literal, cast, get_args

from common.agreement.privacy_settings import Privacy
from common.errors import OptionError
from common.privacy.accounting import BEYOND_BUDGETS, Spend, spend
from common.privacy.planning import plan_noise, planned_releases

CURVE_POINTS = 7


Kind = Literal["declared", "noised"]


@dataclass(frozen=True)
class Question:
    """Facts about a federation that a privacy plan needs.

    Attributes:
        patients: patients of a typical hospital.
        hospitals: hospitals whose updates are averaged.
        rounds: rounds of the whole run.
        epsilons: epsilons that a whole run may cost, a plan for each.
        delta: delta of the guarantee.
        sampling_rate: probability that a patient is in a step.
        steps: private steps in a round.
        statistics: `declared` or `noised`, as in the federation file.
    """

    patients: int
    hospitals: int
    rounds: int
    epsilons: tuple[float, ...]
    delta: float
    sampling_rate: float
    steps: int
    statistics: str

    @property
    def batch(self) -> float:
        """Expected number of patients in a step."""
        return self.sampling_rate * self.patients

    @property
    def is_weak(self) -> bool:
        """Return whether the delta allows for revealing one patient entirely.

        Publishing a patient at random costs a delta of 1 / patients.
        """
        return self.delta >= 1 / self.patients


@dataclass(frozen=True)
class PrivacyPlan:
    """Least noise for a target epsilon.

    Attributes:
        target: largest epsilon of the whole run.
        privacy: terms, with noise rounded up to four digits.
        spent: epsilon of a whole run.
        noise: standard deviation of the noise on a coordinate of one hospital's mean gradient.
        averaged_noise: the same on the average over all hospitals.
        curve: (rounds so far, epsilon so far), the last point being the whole run.
    """

    target: float
    privacy: Privacy
    spent: Spend
    noise: float
    averaged_noise: float
    curve: tuple[tuple[int, float], ...]


def privacy_plans(question: Question) -> list[PrivacyPlan]:
    """Plan for every epsilon, the smallest first.

    Raises:
        InputError: for facts that do not go together.
    """
    _check(question)
    proposed = Privacy(
        noise_multiplier=1.0,
        sampling_rate=question.sampling_rate,
        expected_batch_size=question.batch,
        steps=question.steps,
        statistics=cast(Kind, question.statistics),
        delta=question.delta,
    )
    return [_plan(target, question, proposed) for target in sorted(set(question.epsilons))]


def _plan(target: float, question: Question, proposed: Privacy) -> PrivacyPlan:
    try:
        least = plan_noise(target, question.rounds, proposed)
    except ValueError:
        what = f"no noise on training brings it down to this at delta {question.delta:g}"
        remedy = "ask for a larger epsilon or delta" + (
            ", or for --statistics declared" if question.statistics == "noised" else ""
        )
        raise OptionError(f"--epsilon {target:g}", what, remedy) from None
    privacy = least.model_copy(update={"noise_multiplier": rounded_up(least.noise_multiplier)})
    spent = spend(planned_releases(privacy, question.rounds), question.delta)
    earlier = [number for number in _curve_rounds(question.rounds) if number < question.rounds]
    noise = privacy.noise_multiplier * privacy.clip_norm / privacy.expected_batch_size
    return PrivacyPlan(
        target=target,
        privacy=privacy,
        spent=spent,
        noise=noise,
        averaged_noise=noise / math.sqrt(question.hospitals),
        curve=(
            *(
                (number, spend(planned_releases(privacy, number), question.delta).epsilon)
                for number in earlier
            ),
            (question.rounds, spent.epsilon),
        ),
    )


def epsilon_after(plan: PrivacyPlan, rounds: float) -> float:
    """Interpolate the epsilon after so many rounds, linear in logarithms."""
    for (earlier, less), (later, more) in zip(plan.curve, plan.curve[1:], strict=False):
        if rounds <= later and less > 0:
            share = math.log(rounds / earlier) / math.log(later / earlier)
            return float(less * (more / less) ** share)
    return plan.curve[-1][1]


def rounded_up(noise: float) -> float:
    """Round to four significant digits, never to less noise."""
    unit = 10.0 ** (math.floor(math.log10(noise)) - 3)
    up = float(f"{math.ceil(noise / unit) * unit:.4g}")
    return up if up >= noise else float(f"{up + unit:.4g}")


def _curve_rounds(rounds: int) -> list[int]:
    """Rounds of a curve's points, a constant factor apart.

    Epsilon grows like a power of the rounds.
    """
    return sorted({round(rounds ** (index / (CURVE_POINTS - 1))) for index in range(CURVE_POINTS)})


def _check(question: Question) -> None:
    for epsilon in question.epsilons:
        if not 0 < epsilon <= BEYOND_BUDGETS:
            what = f"is not above 0 and at most {BEYOND_BUDGETS:g}, beyond which nothing is protected"
            raise OptionError(f"--epsilon {epsilon:g}", what, "ask for one between 0.1 and 10")
    if not 0 < question.delta < 1:
        remedy = f"take one well below 1 / patients, such as {suggested_delta(question.patients):g}"
        raise OptionError(f"--delta {question.delta:g}", "is not between 0 and 1", remedy)
    if not 0 < question.sampling_rate <= 1:
        what = "is not a probability above 0"
        raise OptionError(f"--sampling-rate {question.sampling_rate:g}", what, "take one such as 0.1")
    if question.statistics not in get_args(Kind):
        what = "cannot be planned for"
        raise OptionError(f"--statistics {question.statistics}", what, f"use {' or '.join(get_args(Kind))}")
    if question.batch < 1:
        what = f"draws {question.batch:g} of {question.patients:,} patients in a step, fewer than one"
        raise OptionError(f"--sampling-rate {question.sampling_rate:g}", what, "take a larger rate")


def suggested_delta(patients: int) -> float:
    """Suggest a tenth of 1 / patients, rounded down to a power of ten."""
    return float(f"1e{math.floor(math.log10(0.1 / patients) + 1e-9)}")
