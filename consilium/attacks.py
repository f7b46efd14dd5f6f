"""Audit of what models give away about patients, called from Python."""

from collections.abc import Sequence

from consilium.wording import in_python_words
from simulations.audit.audit import Request, run_audit
from simulations.audit.report import Audit
from simulations.experiment.option_checks import check_numbers
from simulations.simulate import one_thread


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
    with in_python_words(), one_thread():
        check_numbers("--epsilon", epsilons)
        return run_audit(
            Request(tuple(epsilons), delta, patients, models, rounds, canaries, seed, "consilium.audit")
        )
