"""Membership inference: two attacks on the loss of a trained model.

A model is trained on a random half of the same patients, each patient by a fair coin, so that the other half are
patients of the same hospital who were not in. The models are attacked in turn, with the others as shadows.

- The loss attack (Yeom et al. 2018) takes a patient for a member if the loss is low: score -l.
- LiRA (Carlini et al. 2022, online) asks whether the loss is low for this patient. With p = exp(-l), the patient's
  loss is turned into phi = log(p / (1 - p)), which is nearly normal over models. Shadows trained with and without the
  patient give two means; standard deviations are pooled over patients, as the paper advises for few shadows. The score
  is the log of the likelihood ratio of the attacked model's phi.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.models.federated import FederatedModel
from common.models.registry import build_model
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss
from simulations.audit.training_setups import TrainingSetup, rounds_of, train_audit_round

Array = NDArray[np.float64]


Mask = NDArray[np.bool_]


SMALLEST_LOSS = 1e-9


FEWEST = 4
"""Least number of models: of three shadows some have seen a patient, and some have not."""


@dataclass(frozen=True)
class Targets:
    """Trained models as an attacker sees them.

    Attributes:
        members: [models, P] whether a patient was trained on.
        losses: [models, P] summed over tasks, which count alike.
        scores: task -> [models] headline metric on other patients.
    """

    members: Mask
    losses: Array
    scores: dict[str, Array]


def train_targets(
    setup: TrainingSetup,
    folder: Path,
    patients: PatientBatch,
    others: PatientBatch,
    cuts: dict[str, torch.Tensor],
    models: int,
    seed: int,
    done: Callable[[], None] = lambda: None,
) -> Targets:
    """Train models, each on a random half of the patients.

    Args:
        setup: way of training.
        folder: folder of the federation's public files.
        patients: standardised, P of them.
        others: standardised patients for the scores of the models.
        cuts: hazard intervals.
        models: number of models.
        seed: seed of coins and first weights; the same for all settings, so that they are attacked on the same halves.
        done: called after each model.
    """
    members = np.random.default_rng(seed).random((models, len(patients))) < 0.5
    federation = setup.federation
    losses, scores = [], []
    for number, member in enumerate(members):
        model = build_model(federation, folder, seed + number)
        half = patients.select(torch.from_numpy(member))
        for round_ in rounds_of(federation, cuts, seed + number * federation.training.rounds):
            train_audit_round(model, half, round_)
        losses.append(_losses(model, patients, federation, cuts))
        scores.append(_held_out(model, others, federation, cuts))
        done()
    by_task = {task.name: np.array([score[task.name] for score in scores]) for task in federation.tasks}
    return Targets(members, np.stack(losses), by_task)


def _losses(
    model: FederatedModel,
    patients: PatientBatch,
    federation: Federation,
    cuts: dict[str, torch.Tensor],
) -> Array:
    outputs = logits(model, patients)
    losses: Array = multitask_loss(federation.tasks, outputs, patients, cuts, None).double().numpy()
    return losses


def _held_out(
    model: FederatedModel,
    others: PatientBatch,
    federation: Federation,
    cuts: dict[str, torch.Tensor],
) -> dict[str, float]:
    outputs = logits(model, others)
    return {
        task.name: task.headline(
            task.predict(outputs[task.name], cuts.get(task.name)),
            others.labels[task.name].double().numpy(),
            others.labelled[task.name].numpy(),
        )
        for task in federation.tasks
    }


def loss_scores(targets: Targets) -> Array:
    """Scores [models, P] of the loss attack: -l."""
    return -targets.losses


def lira_scores(targets: Targets) -> Array:
    """Scores [models, P] of LiRA: log-likelihood ratio of in against out.

    A score is 0 if no shadow or every shadow has seen the patient.
    """
    phi = confidence(targets.losses)
    everyone = np.arange(len(phi))
    return np.stack(
        [
            _likelihood_ratio(phi[model], phi[everyone != model], targets.members[everyone != model])
            for model in everyone
        ]
    )


def confidence(losses: Array) -> Array:
    """log(p / (1 - p)) of p = exp(-l): -log(exp(l) - 1), exact for small and large losses."""
    bounded = np.maximum(losses, SMALLEST_LOSS)
    transformed: Array = -bounded - np.log(-np.expm1(-bounded))
    return transformed


def _likelihood_ratio(phi: Array, shadows: Array, members: Mask) -> Array:
    (inside, spread_in), (outside, spread_out) = _fit(shadows, members), _fit(shadows, ~members)
    ratio = _log_density(phi, inside, spread_in) - _log_density(phi, outside, spread_out)
    return np.where(np.isfinite(ratio), ratio, 0.0)


def _fit(shadows: Array, chosen: Mask) -> tuple[Array, float]:
    """Mean [P] over the chosen shadows of each patient, and one standard deviation.

    The mean is not-a-number without a chosen shadow.
    """
    count = chosen.sum(0)
    mean = np.divide((shadows * chosen).sum(0), count, out=np.full(len(count), np.nan), where=count > 0)
    squares = np.where(chosen, (shadows - mean) ** 2, 0.0).sum()
    return mean, float(np.sqrt(squares / max(1, np.maximum(count - 1, 0).sum()))) or 1.0


def _log_density(phi: Array, mean: Array, spread: float) -> Array:
    density: Array = -0.5 * ((phi - mean) / spread) ** 2 - np.log(spread)
    return density


def mean_losses(targets: Targets) -> tuple[float, float]:
    """Mean loss of members, and of patients who were not in."""
    return float(targets.losses[targets.members].mean()), float(targets.losses[~targets.members].mean())
