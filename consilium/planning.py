"""Plans of the noise that differential privacy needs, made from Python."""

from collections.abc import Sequence

from consilium.wording import in_python_words
from simulations.experiment.option_checks import check_numbers
from simulations.planning.plan import PrivacyPlan, Question, privacy_plans


def plan_privacy(
    *,
    patients: int = 100,
    hospitals: int = 10,
    rounds: int = 30,
    epsilons: Sequence[float] = (1.0, 3.0, 8.0),
    delta: float = 1e-3,
    sampling_rate: float = 1.0,
    steps: int = 1,
    statistics: str = "declared",
) -> list[PrivacyPlan]:
    """Find the least noise for target epsilons; no patient's data is needed.

    Args:
        patients: of a typical hospital.
        hospitals: whose updates are averaged.
        rounds: of the whole run.
        epsilons: what a whole run may cost.
        delta: of the guarantee.
        sampling_rate: probability of a patient to be in a step.
        steps: private steps in a round.
        statistics: "declared" or "noised", as in the federation file.

    Returns:
        A plan for every epsilon, the smallest first; `plan.privacy` are the terms for the federation file.

    Raises:
        InputError: for an epsilon that no noise reaches, or what cannot be combined.

    Example:
        >>> plan, *_ = consilium.plan_privacy(patients=200, epsilons=[3])
        >>> plan.privacy.noise_multiplier
    """
    with in_python_words():
        check_numbers("--epsilon", epsilons)
        return privacy_plans(
            Question(patients, hospitals, rounds, tuple(epsilons), delta, sampling_rate, steps, statistics)
        )
