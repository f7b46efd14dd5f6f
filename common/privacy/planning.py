"""Terms of a private run: the noise that a target epsilon needs, and settings to turn off."""

from collections.abc import Sequence

from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.privacy.accounting import Release, noise_for


def planned_releases(privacy: Privacy, rounds: int) -> Sequence[Release]:
    """Releases of one cohort in a whole run under these terms."""
    releases = [
        Release(
            mechanism="training",
            noise_multiplier=privacy.noise_multiplier,
            sampling_rate=privacy.sampling_rate,
            steps=privacy.steps * rounds,
        )
    ]
    if privacy.statistics == "noised":
        releases.append(Release(mechanism="statistics", noise_multiplier=privacy.statistics_noise_multiplier))
    if (noise := privacy.explanations_noise_multiplier) is not None:
        releases.append(Release(mechanism="explanations", noise_multiplier=noise))
    return releases


def plan_noise(epsilon: float, rounds: int, proposed: Privacy) -> Privacy:
    """Return the terms with the least noise for which `rounds` rounds cost at most `epsilon`.

    The epsilon holds at the delta of the terms.

    Noise on statistics, where there is any, stays as proposed; training gets what is left of the budget.

    Raises:
        ValueError: if no noise on training is enough.
    """

    def releases(noise: float) -> Sequence[Release]:
        return planned_releases(proposed.model_copy(update={"noise_multiplier": noise}), rounds)

    return proposed.model_copy(update={"noise_multiplier": noise_for(epsilon, proposed.delta, releases)})


def with_privacy(federation: Federation, privacy: Privacy) -> Federation:
    """Return the agreement under these terms, without settings that `check_agreement` refuses."""
    explaining = federation.statistics.explanations and privacy.explanations_noise_multiplier is not None
    statistics = federation.statistics.model_copy(update={"explanations": explaining})
    model = federation.model.model_copy(update=dict.fromkeys(federation.model.masks, 0.0))
    training = federation.training.model_copy(update={"learn_task_weights": False})
    changed = {"privacy": privacy, "model": model, "training": training, "statistics": statistics}
    return federation.model_copy(update=changed)
