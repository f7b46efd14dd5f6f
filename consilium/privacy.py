"""Differential privacy from Python: plans of noise, and an audit of what models give away."""

from collections.abc import Sequence

from simulations.audit.audit import Request, run_audit
from simulations.audit.report import Audit
from simulations.planning.plan import PrivacyPlan, Question, privacy_plans
from simulations.simulate import one_thread


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
    return privacy_plans(
        Question(patients, hospitals, rounds, tuple(epsilons), delta, sampling_rate, steps, statistics)
    )


def audit(
    *,
    epsilons: Sequence[float] = (8.0, 1.0),
    delta: float = 1e-3,
    patients: int = 300,
    models: int = 16,
    rounds: int = 30,
    canaries: int = 200,
    seed: int = 0,
) -> Audit:
    """Attack models trained with and without privacy on synthetic patients; takes minutes.

    Args:
        epsilons: what the private runs claim.
        delta: of the claims and of the bound.
        patients: synthetic patients, half of them in each model.
        models: per row; each is attacked, the others are shadows.
        rounds: of each model.
        canaries: canary patients in the run that bounds epsilon from below.
        seed: of everything but noise and sampling.

    Returns:
        A row for every way of training; `row.refuted` says whether a run gives away more than it claims.

    Raises:
        InputError: for numbers too small for any figure.

    Example:
        >>> audit = consilium.audit(epsilons=[8], models=4, canaries=40)
        >>> [row.one_run.bound for row in audit.rows]
    """
    asked = Request(tuple(epsilons), delta, patients, models, rounds, canaries, seed, "consilium.audit")
    with one_thread():
        return run_audit(asked)
