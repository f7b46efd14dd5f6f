"""A hospital's own model: the agreement's network, trained on its own records alone.

A run of this hospital by itself would keep it: scaling from its own sums without a minimum count, the same rounds,
steps and seeds, and the same choice of the round. Nothing leaves; no ledger or record is written.
"""

from pathlib import Path

import numpy as np
import torch

from client.rounds.site import Site
from client.training.evaluation import evaluate
from client.training.linear import step_along_gradient
from client.training.local import train
from client.training.round import Round
from common.agreement.reach import LINEAR_STEP
from common.agreement.single_site import agreement_of_one
from common.models.quasi_newton import QuasiNewton
from common.prediction.network import Network, network_of
from common.records import Records

State = dict[str, torch.Tensor]


def own_model(site: Site, folder: Path) -> Network:
    """Train the hospital's own model, with the agreement's public files in a folder.

    The latest round within one standard error of the lowest validation loss is kept. A loss is the negative log of
    a likelihood, whose standard deviation is taken to be its mean, as at the coordinator (`server.aggregation.scores`).

    Raises:
        InputError: if its own sums do not suffice for what a task's loss needs, such as hazard intervals.
        Refusal: if training diverges, or there are too few records.
    """
    agreement = agreement_of_one(site.federation, site.cohort.site)
    family, model = site.family, site.model
    training, validation = site.split_records(-1)
    prepared = family.combine([family.statistics(training, agreement, 1)], agreement)
    training, validation = family.apply(training, prepared), family.apply(validation, prepared)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in site.initial.items()})
    choice = _Choice()
    rounds = agreement.linear_rounds
    fit = QuasiNewton(LINEAR_STEP)
    for number in range(1, agreement.training.rounds + 1):
        seed = agreement.training.seed * 1_000_003 + number
        round_ = Round(agreement, prepared, number, seed, site.device)
        if number <= rounds:
            _fit_scores(site, training, round_, fit)
        else:
            train(model, training, round_)
        choice.offer(_state(site), _loss(site, validation, round_), len(validation), number, rounds)
        if choice.waited >= agreement.training.patience:
            break
    assert choice.kept is not None
    weights = {name: tensor.numpy() for name, tensor in choice.kept.items()}
    where, remedy = "the hospital's own model, ", "approve the federation file again"
    packed = family.packed(prepared)
    return network_of(site.federation, folder, weights, packed, where, remedy)


class _Choice:
    """Weights that are kept: the latest within one standard error of the lowest loss."""

    def __init__(self) -> None:
        self.kept: State | None = None
        self.lowest = self.margin = np.inf
        self.floor: float | None = None
        self.waited = 0

    def offer(self, state: State, loss: float, units: int, number: int, linear_rounds: int) -> None:
        """Weigh the weights of a round; those of the last linear round are a floor for what follows."""
        if number <= linear_rounds:
            self.kept = state
            self.floor = loss if number == linear_rounds else None
            self.lowest, self.margin = loss, loss / units**0.5
            return
        if loss < self.lowest:
            self.lowest, self.margin = loss, loss / units**0.5
        earns = self.floor is None or loss < self.floor
        if self.kept is None or (earns and loss <= self.lowest + self.margin):
            self.kept, self.waited = state, 0
        else:
            self.waited += 1


def _state(site: Site) -> State:
    return {name: tensor.detach().cpu().clone() for name, tensor in site.model.state_dict().items()}


def _loss(site: Site, validation: Records, round_: Round) -> float:
    """Mean loss per validation record."""
    sums = evaluate(site.model, validation, round_)
    return sums.loss / max(sums.patients, 1.0)


def _fit_scores(site: Site, training: Records, round_: Round, fit: QuasiNewton) -> None:
    """Take a quasi-Newton step of the penalised linear scores, as of a run of one hospital."""
    model, groups = site.model, site.model.groups()
    behind = site.family.behind(training, groups)
    names = sorted(groups.linear)
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].detach().double().cpu().numpy().copy() for name in names}
    step_along_gradient(model, training, behind, round_)
    gradient = []
    for name in names:
        group = groups[name]
        slope = behind[group] * (before[name] - parameters[name].detach().double().cpu().numpy())
        if group.modality is not None:
            slope = slope + round_.federation.training.linear_penalty * before[name]
        gradient.append(slope.ravel())
    point = fit.next_point(np.concatenate([before[name].ravel() for name in names]), np.concatenate(gradient))
    start = 0
    with torch.no_grad():
        for name in names:
            size = before[name].size
            values = torch.from_numpy(point[start : start + size].reshape(before[name].shape))
            parameters[name].copy_(values.to(parameters[name]))
            start += size
