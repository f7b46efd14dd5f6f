"""Attack on canaries by a coordinator who sees the weights of every round.

This is the strongest attacker that differential privacy reckons with.

The attacker knows every patient and every canary, but not which canaries were put in. In round r the coordinator sends
weights w_r and receives w_r - rate_r / B (sum of clipped gradients + noise). So

    y_r = (weights sent - weights received) B / rate_r - q K_r = sum_i b_ir g_ir + noise,

where K_r is the sum of the known patients' clipped gradients at w_r, q the sampling rate, g_ir canary i's clipped
gradient, and b_ir whether it was in the step. The canaries' shares s are found by ridge regression of y on the
gradients G_r [m, parameters] of all rounds,

    (sum_r G_r G_r' + lambda I) s = sum_r G_r (y_r - c G_r' 1),

c being the share that explains most if all canaries have the same. The right side alone is the usual white-box score,
the sum over rounds of the update's inner product with the canary's gradient; the matrix takes away what is due to other
canaries. Lambda, the variance of the noise over that of the shares, has the largest likelihood given y: an attacker who
did not believe the claimed clip and noise would see from the updates what they are. For the same reason each y_r is
brought to norm 1 first: with the claimed noise all have about the same, but without clipping one can dwarf the others.

Without privacy an update is no sum of gradients (Adam, minibatches) but still points along them: y_r is then the bare
change of the weights.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from client.privacy.clipping import PatientGradients, patient_gradients
from common.agreement.federation import Federation
from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from simulations.audit.training_setups import rounds_of, train_audit_round

AT_ONCE = 64


_RANK = 1e-9
"""Smallest share of the largest eigenvalue; directions below it are rounding."""


def watched_shares(
    model: FederatedModel,
    inserted: PatientBatch,
    regular: PatientBatch,
    canaries: PatientBatch,
    federation: Federation,
    cuts: dict[str, Tensor],
    seed: int,
) -> NDArray[np.float64]:
    """Train the model in place on `inserted` patients, and estimate every canary's share [m].

    Args:
        model: model with its first weights.
        inserted: patients who take part: the regular ones and some of the canaries.
        regular: patients who take part for sure.
        canaries: m patients who may take part.
        federation: agreement, with or without privacy.
        cuts: hazard intervals.
        seed: seed of training without privacy.
    """
    gram = torch.zeros(len(canaries), len(canaries), dtype=torch.float64)
    seen = torch.zeros(len(canaries), dtype=torch.float64)
    for round_ in rounds_of(federation, cuts, seed):
        sent = _flat(model)
        gradients = clipped_gradients(model, canaries, federation, cuts)
        expected = _expected(model, regular, federation, cuts)
        train_audit_round(model, inserted, round_)
        update = (sent - _flat(model)) * _scale(federation, round_.number) - expected
        gram += (gradients @ gradients.t()).double()
        seen += (gradients @ (update / update.norm()).float()).double()
    return _regressed(gram, seen)


def _regressed(gram: Tensor, seen: Tensor) -> NDArray[np.float64]:
    """Regress shares [m] from sum_r G_r G_r' [m, m] and sum_r G_r y_r [m].

    In the eigenvectors of the first, with eigenvalues d, the right side has variances proportional to d^2 + lambda d.
    """
    everyone = gram.sum(1)
    rest = seen - everyone * (seen.sum() / everyone.sum())
    eigenvalues, vectors = torch.linalg.eigh(gram)
    kept = eigenvalues > _RANK * eigenvalues[-1]
    eigenvalues, vectors = eigenvalues[kept], vectors[:, kept]
    parts = vectors.t() @ rest
    ridges = torch.logspace(-6, 6, 121, dtype=torch.float64) * eigenvalues.mean()
    spread = eigenvalues.square() + ridges[:, None] * eigenvalues
    likelihood = -(parts.square() / spread).mean(1).log() - spread.log().mean(1)
    best = ridges[likelihood.argmax()]
    shares: NDArray[np.float64] = (vectors @ (parts / (eigenvalues + best))).numpy()
    return shares


def clipped_gradients(
    model: FederatedModel, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """[P, parameters] clipped gradient of each patient; of norm 1 without privacy."""
    rows = []
    for watching, loss, patients in _watched(model, batch, federation, cuts):
        gradients_of = watching.per_patient(loss, patients)
        columns = [
            gradients_of[parameter].formed(patients).flatten(1)
            if parameter in gradients_of
            else parameter.new_zeros(patients, parameter.numel())
            for parameter in watching.parameters
        ]
        rows.append(torch.cat(columns, dim=1))
    stacked = torch.cat(rows)
    norm = stacked.norm(dim=1, keepdim=True).clamp(min=1e-12)
    longest = norm if federation.privacy is None else norm.clamp(min=federation.privacy.clip_norm)
    limit = 1.0 if federation.privacy is None else federation.privacy.clip_norm
    clipped: Tensor = stacked * (limit / longest)
    return clipped


def _expected(
    model: FederatedModel, regular: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    """[parameters] mean sum of the regular patients in a step; 0 without privacy."""
    privacy = federation.privacy
    if privacy is None:
        return torch.zeros(())
    total = torch.zeros_like(_flat(model))
    for watching, loss, patients in _watched(model, regular, federation, cuts):
        sums = watching.clipped_sum(loss, patients, privacy.clip_norm)
        total += torch.cat([parameter_sum.flatten() for parameter_sum in sums])
    return privacy.sampling_rate * total


def _watched(
    model: FederatedModel, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Iterator[tuple[PatientGradients, Callable[[], Tensor], int]]:
    """Yield gradients, loss and number of `AT_ONCE` patients at a time."""
    model.eval()
    with patient_gradients(model) as watching:
        for chosen in torch.arange(len(batch)).split(AT_ONCE):
            part = batch.select(chosen)
            yield watching, partial(patient_loss, model, part, federation, cuts), len(part)


def _flat(model: FederatedModel) -> Tensor:
    """[parameters] float64, a copy."""
    return torch.cat([parameter.detach().double().flatten() for parameter in model.parameters()])


def _scale(federation: Federation, round_: int) -> float:
    """Factor from a change of weights to the sum of clipped gradients of one step."""
    privacy = federation.privacy
    if privacy is None:
        return 1.0
    return privacy.expected_batch_size / (privacy.learning_rate * federation.training.decay(round_))
