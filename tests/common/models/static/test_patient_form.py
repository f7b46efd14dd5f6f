"""The static form of the network gives the losses and gradients of the network."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Training
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing

MakeBatch = Callable[..., PatientBatch]
SMALL = {"node_width": 4, "pathway_width": 4, "width": 8, "heads": 2, "gat_layers": 1}
FIRM = {"dropout": 0.0, "node_dropout": 0.0}


@pytest.fixture
def make_model(
    make_federation: Callable[..., Federation], prior: Prior
) -> Callable[..., HierarchicalMultimodalGNN]:
    def make(modality_dropout: float = 0.0, **training: Any) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        settings = SMALL | FIRM | {"modality_dropout": modality_dropout}
        federation = make_federation(
            model=HierarchicalConfig.model_validate(settings), training=Training.model_validate(training)
        )
        model = HierarchicalMultimodalGNN(federation, prior).double()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        return model

    return make


def _doubled(batch: PatientBatch) -> PatientBatch:
    values = {name: tensor.double() for name, tensor in batch.values.items()}
    return replace(
        batch, values=values, labels={name: label.double() for name, label in batch.labels.items()}
    )


@pytest.mark.parametrize("modality_dropout", [0.0, 0.4])
@pytest.mark.parametrize("contrastive", [0.0, 0.5])
def test_losses_and_gradients_are_those_of_the_model(
    make_model: Callable[..., HierarchicalMultimodalGNN],
    make_batch: MakeBatch,
    cuts: dict[str, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    modality_dropout: float,
    contrastive: float,
) -> None:
    """With patients who lack a modality, rows of nobody, every kind of task, and the same masks."""
    batch = _doubled(make_batch(11))
    model = make_model(modality_dropout, contrastive_weight=contrastive)
    form = model.static_form()
    assert form is not None
    assert isinstance(form.model, HierarchicalMultimodalGNN)
    masks = iter(2 * [torch.rand(14) for _ in range(8)])
    monkeypatch.setattr(torch, "rand", lambda count, device=None: next(masks)[:count])
    expected = patient_loss(model, batch, model.federation, cuts)
    for _ in range(8 - 4 * model.views if modality_dropout else 0):
        next(masks)
    numbers, marks = form.rows(batch)
    filled = torch.cat([torch.arange(11), torch.full((3,), 11)])
    rows = (numbers[filled], marks[filled])
    losses = patient_loss(
        form.model, form.records(rows), model.federation, form.prepared(Preprocessing({}, {}, cuts)).cuts
    )
    torch.testing.assert_close(losses[:11], expected)
    assert form.counting(rows).tolist() == [1.0] * 11 + [0.0] * 3
    expected.sum().backward()
    (losses * form.counting(rows)).sum().backward()
    own = dict(form.model.named_parameters())
    for name, parameter in model.named_parameters():
        if parameter.grad is None:
            gradient = own[name].grad
            assert gradient is not None
            assert not gradient.any(), name
        else:
            torch.testing.assert_close(own[name].grad, parameter.grad, msg=name)


def test_parts_are_idle_where_nobody_takes_part(
    make_model: Callable[..., HierarchicalMultimodalGNN], make_batch: MakeBatch, cuts: dict[str, Tensor]
) -> None:
    batch, model = make_batch(11), make_model()
    batch.observed["protein"][:] = False
    form = model.static_form()
    assert form is not None
    assert isinstance(form.model, HierarchicalMultimodalGNN)
    loss = partial(patient_loss, form.model, federation=model.federation, cuts=cuts)
    loss(form.records(form.rows(_doubled(batch))))
    idle = {part: bool(flag) for part, flag in form.idle().items()}
    assert {part for part, flag in idle.items() if flag} == {"protein", "protein, scores"}
    assert set(form.parts().values()) == set(idle)
    assert {name for name in form.parts() if not name.startswith("branches.")} == set()


def test_constants_of_the_losses_stay_in_their_tensors(
    make_model: Callable[..., HierarchicalMultimodalGNN], cuts: dict[str, Tensor]
) -> None:
    form = make_model().static_form()
    assert form is not None
    first = form.prepared(Preprocessing({}, {}, cuts)).cuts["survival"]
    assert torch.equal(first, cuts["survival"])
    form.prepared(Preprocessing({}, {}, {"survival": 2 * cuts["survival"]}))
    assert torch.equal(first, 2 * cuts["survival"])


def test_subclasses_have_no_static_form(federation: Federation, prior: Prior) -> None:
    class Another(HierarchicalMultimodalGNN):
        """A model that may do anything in its steps."""

    assert Another(federation, prior).static_form() is None
