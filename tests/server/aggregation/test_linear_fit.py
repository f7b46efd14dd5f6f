"""The hospitals' gradients give the scores that pooled patients would give, and then the scores stay."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from client.training.linear import step_along_gradient
from client.training.round import Round
from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from server.aggregation.averaging import Average, Weights, WeightSpill
from server.aggregation.contributions import Contributions
from server.aggregation.linear_fit import LinearFirst
from server.aggregation.strategies import FedAdam, FedAvg, Strategy

MakeBatch = Callable[..., PatientBatch]
ROUNDS = 40


class Hospitals:
    """Hospitals that answer with steps along their gradients."""

    def __init__(self, federation: Federation, prior: Prior, cuts: dict[str, Tensor]) -> None:
        self.federation = federation.changed(
            {"training.rounds": str(ROUNDS + 1), "training.linear_rounds": str(ROUNDS)}
        )
        torch.manual_seed(0)
        self.model = HierarchicalMultimodalGNN(self.federation, prior)
        self.initial = {name: tensor.numpy().copy() for name, tensor in self.model.state_dict().items()}
        self.groups, self.cuts = self.model.groups(), cuts

    def load(self, weights: Weights) -> None:
        """Give the model these weights."""
        self.model.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})

    def answer(self, weights: Weights, batch: PatientBatch, number: int) -> Weights:
        """Weights of a hospital after a linear round."""
        self.load(weights)
        round_ = Round(self.federation, Preprocessing({}, {}, self.cuts), number)
        step_along_gradient(self.model, batch, self.groups.patients_behind(batch), round_)
        return {name: tensor.numpy().copy() for name, tensor in self.model.state_dict().items()}

    def round(
        self, strategy: Strategy, number: int, weights: Weights, batches: dict[str, PatientBatch]
    ) -> Weights:
        """The next weights."""
        with WeightSpill() as spill:
            average = Average(weights, self.groups, spill)
            for site, batch in batches.items():
                average.put(site, self.answer(weights, batch, number))
            behind = {site: self.groups.patients_behind(batch) for site, batch in batches.items()}
            return strategy.next_weights(Contributions(number, weights, behind, average))

    def fit(self, batches: dict[str, PatientBatch], rounds: int = ROUNDS) -> Weights:
        """The weights after the linear rounds."""
        strategy, weights = LinearFirst(self.federation, self.groups, FedAvg()), dict(self.initial)
        for number in range(1, rounds + 1):
            weights = self.round(strategy, number, weights, batches)
        return weights

    def logits(self, weights: Weights, batch: PatientBatch) -> dict[str, Tensor]:
        """Logits at some weights."""
        self.load(weights)
        with torch.no_grad():
            logits: dict[str, Tensor] = self.model.eval()(batch)
        return logits


@pytest.fixture
def hospitals(federation: Federation, prior: Prior, cuts: dict[str, Tensor]) -> Hospitals:
    return Hospitals(federation, prior, cuts)


def parts(batch: PatientBatch, *sizes: int) -> dict[str, PatientBatch]:
    """Patients divided among hospitals."""
    rows = torch.arange(len(batch)).split(list(sizes))
    return {f"hospital {number}": batch.select(chosen) for number, chosen in enumerate(rows)}


def test_hospitals_of_any_size_fit_what_pooled_patients_fit(
    hospitals: Hospitals, make_batch: MakeBatch
) -> None:
    batch = make_batch(60, seed=5)
    together = hospitals.logits(hospitals.fit({"all": batch}), batch)
    apart = hospitals.logits(hospitals.fit(parts(batch, 7, 13, 40)), batch)
    for task, logits in together.items():
        torch.testing.assert_close(apart[task], logits, atol=5e-3, rtol=5e-3)
        assert float(logits.std(0).max()) > 0.05


def test_the_fit_minimises_the_penalised_loss(hospitals: Hospitals, make_batch: MakeBatch) -> None:
    batch = make_batch(60, seed=6)
    weights = hospitals.fit({"all": batch})
    hospitals.load(weights)
    family = Round(hospitals.federation, Preprocessing({}, {}, hospitals.cuts)).family
    linear = family.linear_loss(hospitals.model, hospitals.federation, Preprocessing({}, {}, hospitals.cuts))
    assert linear is not None
    fitted = {n: p for n, p in hospitals.model.named_parameters() if n in hospitals.groups.linear}
    penalty = hospitals.federation.training.linear_penalty
    squares = sum(p.square().sum() for n, p in fitted.items() if hospitals.groups[n].modality is not None)
    objective = linear(batch).sum() + penalty / 2 * squares
    gradients = torch.autograd.grad(objective, list(fitted.values()))
    begun: list[Any] = []
    hospitals.load(hospitals.initial)
    linear = family.linear_loss(hospitals.model, hospitals.federation, Preprocessing({}, {}, hospitals.cuts))
    assert linear is not None
    begun = list(torch.autograd.grad(linear(batch).sum(), list(fitted.values())))
    size = torch.cat([gradient.flatten() for gradient in gradients]).norm()
    assert size < 0.01 * torch.cat([gradient.flatten() for gradient in begun]).norm()


@pytest.mark.parametrize("then", [FedAvg, lambda: FedAdam(0.1)])
def test_scores_stay_to_the_bit_in_the_other_rounds(
    hospitals: Hospitals, make_batch: MakeBatch, then: Callable[[], Strategy]
) -> None:
    strategy = LinearFirst(hospitals.federation, hospitals.groups, then())
    sent = hospitals.fit({"all": make_batch(30)}, rounds=3)
    trained = {name: array + np.float32(0.1) for name, array in sent.items()}
    with WeightSpill() as spill:
        average = Average(sent, hospitals.groups, spill)
        average.put("a", trained)
        behind = {"a": hospitals.groups.patients_behind(make_batch(30))}
        after = strategy.next_weights(Contributions(ROUNDS + 1, sent, behind, average))
    moved = {name for name in sent if (after[name] != sent[name]).any()}
    assert moved
    assert not moved & hospitals.groups.linear


def test_a_resumed_fit_takes_the_same_steps(hospitals: Hospitals, make_batch: MakeBatch) -> None:
    batches, strategy = (
        parts(make_batch(40), 15, 25),
        LinearFirst(hospitals.federation, hospitals.groups, FedAvg()),
    )
    weights = dict(hospitals.initial)
    for number in range(1, 6):
        weights = hospitals.round(strategy, number, weights, batches)
    again = LinearFirst(hospitals.federation, hospitals.groups, FedAvg())
    again.remember(strategy.memory())
    one = hospitals.round(strategy, 6, weights, batches)
    other = hospitals.round(again, 6, weights, batches)
    assert all((one[name] == other[name]).all() for name in one)


def test_linear_rounds_move_nothing_else_and_nobody_who_lacks_a_modality(
    hospitals: Hospitals, make_batch: MakeBatch
) -> None:
    batch = make_batch(20)
    observed = batch.observed | {"rna": torch.zeros_like(batch.observed["rna"])}
    values = batch.values | {"rna": torch.zeros_like(batch.values["rna"])}
    answer = hospitals.answer(hospitals.initial, replace(batch, values=values, observed=observed), 1)
    moved = {name for name in answer if (answer[name] != hospitals.initial[name]).any()}
    assert moved
    assert moved <= hospitals.groups.linear
    assert not any(hospitals.groups[name].modality == "rna" for name in moved)
