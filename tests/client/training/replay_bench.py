"""A small federation's model, its static form, and steps of both on the same minibatch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from client.training.device import CPU, Device
from client.training.local import train
from client.training.replay.capture import ReplayedStep
from client.training.replay.step import StaticStep, StepTerms
from client.training.replay.training import train_by_replay
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Training
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from tests.client.cuts import with_cuts

Make = Callable[..., Federation]
State = dict[str, Tensor]
SMALL = {"node_width": 4, "pathway_width": 4, "width": 8, "heads": 2}
FIRM = {"dropout": 0.0, "node_dropout": 0.0, "modality_dropout": 0.0}


class ReplayBench:
    """Trains fresh small models, always from the same weights, by launches and by the static step."""

    def __init__(self, make_federation: Make, prior: Prior, cuts: State) -> None:
        self.make_federation, self.prior, self.cuts = make_federation, prior, cuts

    def federation(self, model: dict[str, Any] | None = None, **settings: Any) -> Federation:
        changed = {"rounds": 10, "batch_size": 16, "learning_rate": 0.01} | settings
        return self.make_federation(
            model=HierarchicalConfig.model_validate(SMALL | FIRM | (model or {})),
            training=Training.model_validate(changed),
        )

    def model(self, federation: Federation, dtype: torch.dtype = torch.float64) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        return HierarchicalMultimodalGNN(federation, self.prior).to(dtype)

    def round(self, federation: Federation, device: Device = CPU, seed: int = 0) -> Round:
        return Round(federation, with_cuts(self.cuts), seed=seed, device=device)

    def step(
        self, model: HierarchicalMultimodalGNN, batch: PatientBatch, round_: Round, largest: int
    ) -> StaticStep:
        form = model.static_form()
        assert form is not None
        return StaticStep(form, StepTerms.of(model, round_, largest), round_, form.rows(batch))

    def by_launches(self, batch: PatientBatch, federation: Federation) -> tuple[State, float, Tensor]:
        """Weights, mean loss of the last epoch, and losses of the first minibatch."""
        model, first = self.model(federation), list[Tensor]()
        loss = train(model, batch, self.round(federation), first)
        return model.state_dict(), loss, torch.cat(first)

    def by_steps(self, batch: PatientBatch, federation: Federation) -> tuple[State, float, Tensor]:
        """The same of the static step, which is taken rather than replayed."""
        model, round_, first = self.model(federation), self.round(federation), list[Tensor]()
        step = self.step(model, batch, round_, federation.training.batch_size)
        rate = federation.training.learning_rate
        replayed = ReplayedStep(step, step.run)
        total = train_by_replay(replayed, model, batch, round_, rate, first)
        return model.state_dict(), float(total) / len(batch), torch.cat(first)


def doubled(batch: PatientBatch) -> PatientBatch:
    """The same patients in double precision, in which two ways of computing hardly differ."""
    values = {name: tensor.double() for name, tensor in batch.values.items()}
    return replace(
        batch, values=values, labels={name: label.double() for name, label in batch.labels.items()}
    )
