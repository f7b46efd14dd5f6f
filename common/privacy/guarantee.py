"""Whatever would break patient-level differential privacy is refused by name, with the reason and what to do instead.

The guarantee rests on one thing: the sum over patients of clipped gradients changes by at most the clip norm when one
patient comes or goes. It holds if a patient's gradient depends on that patient alone.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.agreement.tasks import ResponseTask, SurvivalTask
from common.errors import GuaranteeError, InputError
from common.patients.batch import PatientBatch
from common.patients.preprocessing import bounds

_MASKS = ("dropout", "node_dropout", "modality_dropout")


def check_agreement(federation: Federation) -> None:
    """Refuse a federation file whose settings contradict its `privacy`; without `privacy` anything goes.

    Raises:
        InputError: naming the setting.
    """
    if federation.privacy is None:
        return
    for rate in _MASKS:
        if getattr(federation.model, rate) > 0:
            what = (
                "masks are drawn by place in the batch, from a seed that the coordinator knows: without one patient "
                "all others have other masks, and other gradients"
            )
            raise GuaranteeError(f"model.{rate}", what, "set it to 0: under privacy the noise regularises")
    if federation.training.learn_task_weights and len(federation.tasks) > 1:
        what = "a weight of a task lies outside the layers and has no gradient per patient"
        raise GuaranteeError("training.learn_task_weights", what, "set it to false: tasks then count alike")
    if federation.privacy.statistics == "noised":
        _check_ranges(federation)


def _check_ranges(federation: Federation) -> None:
    for modality in federation.modalities:
        if modality.scale == "none":
            continue
        low, high = bounds(modality)
        unlimited = ~(np.isfinite(low) & np.isfinite(high) & (low < high))
        if unlimited.any():
            column = modality.columns[int(unlimited.argmax())]
            what = "noised sums need a limit to what one patient adds, and its values have none"
            remedy = "give it a plausible low and high or a typical range, or use statistics = declared"
            raise GuaranteeError(f"modality {modality.name}, column {column}", what, remedy)


PER_PATIENT = (nn.Linear, nn.LayerNorm)
"""The layers whose gradient per patient is formed, exactly these types."""


_POPULATION = (
    "passes messages along edges: over a graph whose nodes are patients a patient's output depends on the neighbours, "
    "and over a disjoint batch gradients are per node",
    "give every patient a graph of their own over a shared topology: common.layers.GCN, GAT",
)


_ATTENTION = (
    "packs its projections outside nn.Linear, so they have no gradient per patient",
    "use common.attention",
)


_BATCH = (
    "normalises by batch statistics: every patient's output depends on all others in the batch",
    "use nn.LayerNorm",
)


_WITHIN = ("has scales without a gradient per patient", "use nn.LayerNorm")


_RECURRENT = (
    "runs fused kernels that give no gradient per patient",
    "use common.attention over the sequence",
)


_LAYERS = {
    nn.modules.batchnorm._BatchNorm: _BATCH,
    nn.modules.instancenorm._InstanceNorm: _WITHIN,
    nn.GroupNorm: _WITHIN,
    nn.MultiheadAttention: _ATTENTION,
    nn.TransformerEncoderLayer: _ATTENTION,
    nn.TransformerDecoderLayer: _ATTENTION,
    nn.RNNBase: _RECURRENT,
    nn.RNNCellBase: _RECURRENT,
    nn.Embedding: (
        "has a row per entry, on which noise falls whether a patient uses it or not",
        "use fixed codes as input of an nn.Linear (common.graphs.identity)",
    ),
}


_BARE = (
    "is a parameter outside nn.Linear and nn.LayerNorm, which has no gradient per patient",
    "make it part of an nn.Linear whose input has the patient as first dimension",
)


_UNSUPPORTED = (
    "is of a layer without a rule for gradients per patient",
    "use nn.Linear and nn.LayerNorm as they are",
)


def check_model(model: nn.Module) -> None:
    """Refuse a model whose trainable parameters are not all in `nn.Linear` and `nn.LayerNorm`.

    A batch normalisation without parameters is refused too: it couples patients through its statistics alone.

    Raises:
        InputError: naming the outermost module that will not do, its class and its place in the model.
    """
    for path, module in model.named_modules():
        trained = any(own.requires_grad for own in module.parameters())
        reason = _reason_for(module)
        if reason is not None and (trained or reason in (_BATCH, _POPULATION)):
            raise _unsuitable(path, module, reason)
        for name, own in module.named_parameters(recurse=False):
            if own.requires_grad and (type(module) not in PER_PATIENT or name not in ("weight", "bias")):
                torch_s_own = isinstance(module, PER_PATIENT) or type(module).__module__.startswith("torch.")
                raise _unsuitable(
                    f"{path}.{name}" if path else name, module, _UNSUPPORTED if torch_s_own else _BARE
                )


def _reason_for(module: nn.Module) -> tuple[str, str] | None:
    # By name, for PyG is slow to import and a site does not need it.
    if any(kind.__name__ == "MessagePassing" for kind in type(module).__mro__):
        return _POPULATION
    return next((reason for kind, reason in _LAYERS.items() if isinstance(module, kind)), None)


def _unsuitable(path: str, module: nn.Module, reason: tuple[str, str]) -> InputError:
    what, remedy = reason
    return GuaranteeError(
        f"model.{path} ({type(module).__name__})" if path else type(module).__name__, what, remedy
    )


_COX = (
    "compares each patient with all others still at risk, so one patient moves everybody's gradient",
    "use the discrete-time hazard (common.objectives.hazard_loss)",
)


_NEGATIVES = (
    "contrasts each patient with the others in the batch",
    "compare two views of the same patient (common.objectives.agreement_loss)",
)


_OBJECTIVES = {
    "cox": _COX,
    "partial": _COX,
    "infonce": _NEGATIVES,
    "ntxent": _NEGATIVES,
    "contrastive": _NEGATIVES,
    "population": _POPULATION,
}


ROUNDING = 1e-4
"""Of a value and its gradient: two orders of summation in single precision differ by less."""


def check_objective(
    name: str, loss: Callable[[PatientBatch], Tensor], batch: PatientBatch, model: nn.Module | None = None
) -> None:
    """Refuse a loss by what it does: each patient's value, and its gradient, must be the patient's own.

    Patients are left out and their values, labels and gaps exchanged for another's; what the others get must stay.

    Args:
        name: of the loss, for the message; a known coupling is explained.
        loss: a patient batch of B -> loss per patient [B], deterministic.
        batch: two patients or more, with differing values.
        model: whose trainable parameters' gradients are compared too.

    Raises:
        InputError: if there is not one value per patient, or one depends on another patient.
    """
    parameters = [own for own in model.parameters() if own.requires_grad] if model is not None else []
    patients = len(batch)
    whole = loss(batch)
    if whole.shape != (patients,):
        what = f"gives a tensor of shape {tuple(whole.shape)} for {patients} patients, not one value for each"
        raise _couples(name, what)
    as_they_are = torch.arange(patients)
    for place in range(patients):
        another = as_they_are.clone()
        another[(place + 1) % patients] = place
        alone = _value_and_gradient(loss, batch.select(as_they_are[place : place + 1]), 0, parameters)
        for order in (as_they_are, another):
            together = _value_and_gradient(loss, batch.select(order), place, parameters)
            if not (alone - together).norm() <= ROUNDING * (1 + together.norm()):  # also if not a number
                raise _couples(name, "the loss of one patient depends on the others in the batch")


def probe(federation: Federation, patients: int = 3) -> PatientBatch:
    """Made-up patients of a federation, for `check_objective`; the last lacks every other modality."""
    draw = torch.Generator().manual_seed(0)
    values, observed = {}, {}
    for place, modality in enumerate(federation.modalities):
        shape = (patients, len(modality.nodes))
        seen = torch.rand(shape, generator=draw) > 0.2
        seen[-1] &= place % 2 == 0
        values[modality.name] = torch.randn(shape, generator=draw) * seen
        observed[modality.name] = seen
    labels = {}
    for task in federation.tasks:
        drawn = torch.rand((patients, len(task.columns)), generator=draw)
        if isinstance(task, SurvivalTask):
            drawn = torch.stack([drawn[:, 0] * task.longest, drawn[:, 1].round()], dim=1)
        else:
            drawn = (drawn * (task.outputs if isinstance(task, ResponseTask) else 2)).floor()
        labels[task.name] = drawn
    return PatientBatch(
        values, observed, labels, {name: torch.ones_like(t).bool() for name, t in labels.items()}
    )


def _couples(name: str, what: str) -> InputError:
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    known = next((reason for sign, reason in _OBJECTIVES.items() if sign in plain), None)
    instead = "use a loss that is computed for every patient alone, such as those of common.objectives"
    return GuaranteeError(f"objective {name}", *(known or (what, instead)))


def _value_and_gradient(
    loss: Callable[[PatientBatch], Tensor], batch: PatientBatch, place: int, parameters: list[nn.Parameter]
) -> Tensor:
    """The loss of the patient at `place`, followed by its gradient; not-a-number if it cannot be computed."""
    try:
        value = loss(batch)[place]
    except (ArithmeticError, IndexError, TypeError, ValueError, RuntimeError):
        return torch.tensor([torch.nan])  # what fails for fewer patients is no sum over patients
    gradients = [torch.zeros_like(own) for own in parameters]
    if parameters and value.requires_grad:
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        gradients = [zero if own is None else own for zero, own in zip(gradients, found, strict=True)]
    return torch.cat([value.detach().view(1), *(own.flatten() for own in gradients)])
