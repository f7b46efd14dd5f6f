"""A model with weight on every path and patients of every pattern, for tests of per-patient gradients."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from client.privacy.clipping import patient_gradients
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.privacy.planning import with_privacy

TASKS = ("survival", "response", "toxicity")
MODALITIES = ("clinical", "rna", "protein", "imaging")


def converted(batch: PatientBatch, dtype: torch.dtype) -> PatientBatch:
    """The same values and labels in another precision."""
    return replace(
        batch,
        values={name: own.to(dtype) for name, own in batch.values.items()},
        labels={name: own.to(dtype) for name, own in batch.labels.items()},
    )


@dataclass
class Case:
    """A model with weight on every path, in double precision unless told otherwise."""

    federation: Federation
    model: HierarchicalMultimodalGNN
    cuts: dict[str, Tensor]

    def loss(self, batch: PatientBatch) -> Tensor:
        return patient_loss(self.model, batch, self.federation, self.cuts)

    def together(self, batch: PatientBatch) -> dict[str, Tensor]:
        """Parameter's name -> gradients [B, *shape]; 0 where the loss does not use it."""
        with patient_gradients(self.model) as gradients:
            parts = gradients.per_patient(lambda: self.loss(batch), len(batch))
        return {
            name: parts[own].formed(len(batch)) if own in parts else own.new_zeros(len(batch), *own.shape)
            for name, own in self.model.named_parameters()
            if own.requires_grad
        }

    def alone(self, batch: PatientBatch) -> dict[str, Tensor]:
        """The same from an ordinary backward pass per patient."""
        trained = {name: own for name, own in self.model.named_parameters() if own.requires_grad}
        rows = []
        for place in torch.arange(len(batch)).split(1):
            value = self.loss(batch.select(place))
            found = torch.autograd.grad(value.sum(), list(trained.values()), allow_unused=True)
            rows.append(
                [
                    torch.zeros_like(p) if g is None else g
                    for p, g in zip(trained.values(), found, strict=True)
                ]
            )
        return {name: torch.stack(own) for name, own in zip(trained, zip(*rows, strict=True), strict=True)}

    def clipped(self, batch: PatientBatch, clip_norm: float = 1.0) -> Tensor:
        """The clipped sum over all parameters as one vector."""
        with patient_gradients(self.model) as gradients:
            sums = gradients.clipped_sum(lambda: self.loss(batch), len(batch), clip_norm)
        return torch.cat([own.flatten() for own in sums])


MakeCase = Callable[..., Case]
MakeBatch = Callable[..., PatientBatch]


def build_case(
    make_federation: Callable[..., Federation],
    prior: Prior,
    cuts: dict[str, Tensor],
    tasks: tuple[str, ...] = TASKS,
    contrastive: float = 0.0,
    scale: float = 0.3,
    dtype: torch.dtype = torch.float64,
) -> Case:
    """A model of the federation with some of its tasks, away from its first weights by `scale`."""
    whole = make_federation(
        model=HierarchicalConfig(node_width=4, pathway_width=6, width=8, heads=2, gat_layers=1),
        training=Training(contrastive_weight=contrastive),
    )
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.5, expected_batch_size=4)
    chosen = tuple(task for task in whole.tasks if task.name in tasks)
    federation = with_privacy(whole.model_copy(update={"tasks": chosen}), privacy)
    torch.manual_seed(3)  # one for which every ReLU lets something through
    model = HierarchicalMultimodalGNN(federation, prior).to(dtype)
    with torch.no_grad():  # heads start at 0, and would let no gradient through
        for own in model.parameters():
            own.add_(scale * torch.randn_like(own))
    return Case(federation, model.train(), {name: own.to(dtype) for name, own in cuts.items()})


def patients_of_every_pattern(make_batch: MakeBatch) -> PatientBatch:
    """Sixteen patients, one for each set of modalities from none to all; some labels are missing."""
    batch = converted(make_batch(16, seed=7), torch.float64)
    draw = torch.Generator().manual_seed(1)
    for column, name in enumerate(MODALITIES):
        has = torch.tensor([bool(pattern >> column & 1) for pattern in range(16)])[:, None]
        shape = batch.values[name].shape
        observed = (torch.rand(shape, generator=draw) > 0.2) & has
        observed[:, :1] = has
        batch.observed[name][:] = observed
        batch.values[name][:] = torch.randn(shape, generator=draw, dtype=torch.float64) * observed
    assert len({tuple(bool(batch.present(name)[i]) for name in MODALITIES) for i in range(16)}) == 16
    return batch


def norms(gradients: dict[str, Tensor]) -> Tensor:
    """[parameters, B]."""
    return torch.stack([own.double().flatten(1).norm(dim=1) for own in gradients.values()])


def errors(found: dict[str, Tensor], expected: dict[str, Tensor]) -> Tensor:
    """[parameters, B] norms of the differences."""
    assert found.keys() == expected.keys()
    return norms({name: found[name].double() - own for name, own in expected.items()})


def worst(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest error of a parameter's gradient, relative to the patient's gradient over all parameters."""
    whole = norms(expected).norm(dim=0)
    return float((errors(found, expected) / whole.clamp(min=1e-12)).max())


def worst_alone(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    """Largest error relative to that parameter's own gradient, where it is more than 1e-8 of the patient's whole."""
    own = norms(expected)
    counts = own > 1e-8 * own.norm(dim=0)
    return float((errors(found, expected)[counts] / own[counts]).max())
