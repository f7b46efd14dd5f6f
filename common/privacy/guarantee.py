"""Checks that refuse what would break patient-level differential privacy, with a remedy.

The guarantee rests on the sum over patients of clipped gradients, which changes by at most the clip norm when one
patient comes or goes. This holds if a patient's gradient depends on that patient alone.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from common.errors import GuaranteeError, InputError
from common.records import Records

R = TypeVar("R", bound=Records)


PER_PATIENT = (nn.Linear, nn.LayerNorm)
"""Layers that have a rule for gradients per patient; subclasses have none."""


_POPULATION = (
    "passes messages along edges: over a graph whose nodes are patients a patient's output depends on the neighbours, "
    "and over a disjoint batch gradients are per node",
    "give every patient a graph of their own over a shared topology: common.models.layers.GCN, GAT",
)


_ATTENTION = (
    "packs its projections outside nn.Linear, so they have no gradient per patient",
    "use common.models.attention",
)


_BATCH = (
    "normalises by batch statistics: every patient's output depends on all others in the batch",
    "use nn.LayerNorm",
)


_WITHIN = ("has scales without a gradient per patient", "use nn.LayerNorm")


_RECURRENT = (
    "runs fused kernels that give no gradient per patient",
    "use common.models.attention over the sequence",
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
        "use fixed codes as input of an nn.Linear (common.models.graphs.identity)",
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
        InputError: naming the outermost module that is refused, its class and its path in the model.
    """
    for path, module in model.named_modules():
        trained = any(parameter.requires_grad for parameter in module.parameters())
        reason = _reason_for(module)
        if reason is not None and (trained or reason in (_BATCH, _POPULATION)):
            raise _unsuitable(path, module, reason)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and (
                type(module) not in PER_PATIENT or name not in ("weight", "bias")
            ):
                from_torch = isinstance(module, PER_PATIENT) or type(module).__module__.startswith("torch.")
                raise _unsuitable(
                    f"{path}.{name}" if path else name, module, _UNSUPPORTED if from_torch else _BARE
                )


def _reason_for(module: nn.Module) -> tuple[str, str] | None:
    # by name, because PyG is slow to import and a site does not need it
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
    "use the discrete-time hazard (common.tasks.hazard.hazard_loss)",
)


_NEGATIVES = (
    "contrasts each patient with the others in the batch",
    "compare two views of the same patient (common.models.contrastive)",
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
"""Relative difference of a value and its gradient that two orders of summation in single precision stay below."""


def check_objective(name: str, loss: Callable[[R], Tensor], batch: R, model: nn.Module | None = None) -> None:
    """Refuse a loss whose value or gradient for a patient depends on other patients.

    Patients are left out, and their values, labels and gaps exchanged for those of another patient; the values and
    gradients of the remaining patients must stay.

    Args:
        name: name of the loss for the message, which explains a known coupling.
        loss: a patient batch of B -> loss per patient [B], deterministic.
        batch: two or more patients with differing values.
        model: model whose gradients by trainable parameters are compared too.

    Raises:
        InputError: if there is not one value per patient, or one depends on another patient.
    """
    parameters = (
        [parameter for parameter in model.parameters() if parameter.requires_grad]
        if model is not None
        else []
    )
    patients = len(batch)
    whole = loss(batch)
    if whole.shape != (patients,):
        what = f"gives a tensor of shape {tuple(whole.shape)} for {patients} patients, not one value for each"
        raise _couples(name, what)
    unchanged = torch.arange(patients)
    for patient in range(patients):
        exchanged = unchanged.clone()
        exchanged[(patient + 1) % patients] = patient
        alone = _value_and_gradient(loss, batch.select(unchanged[patient : patient + 1]), 0, parameters)
        for order in (unchanged, exchanged):
            together = _value_and_gradient(loss, batch.select(order), patient, parameters)
            if not (alone - together).norm() <= ROUNDING * (1 + together.norm()):  # also if not a number
                raise _couples(name, "the loss of one patient depends on the others in the batch")


def _couples(name: str, what: str) -> InputError:
    plain = "".join(letter for letter in name.lower() if letter.isalnum())
    explained = next((reason for sign, reason in _OBJECTIVES.items() if sign in plain), None)
    instead = "use a loss that is computed for every patient alone, such as that of a kind of common.tasks"
    return GuaranteeError(f"objective {name}", *(explained or (what, instead)))


def _value_and_gradient(
    loss: Callable[[R], Tensor], batch: R, patient: int, parameters: list[nn.Parameter]
) -> Tensor:
    """Loss of one patient, followed by its gradient; not-a-number if they cannot be computed."""
    try:
        value = loss(batch)[patient]
    except (ArithmeticError, IndexError, TypeError, ValueError, RuntimeError):
        return torch.tensor([torch.nan])  # a loss that fails for fewer patients is no sum over patients
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    if parameters and value.requires_grad:
        computed = torch.autograd.grad(value, parameters, allow_unused=True)
        gradients = [
            zero if gradient is None else gradient for zero, gradient in zip(gradients, computed, strict=True)
        ]
    return torch.cat([value.detach().view(1), *(gradient.flatten() for gradient in gradients)])
