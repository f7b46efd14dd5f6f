"""Registry of the kinds of model in federation files, and their construction."""

from collections.abc import Iterable
from inspect import signature
from pathlib import Path

import torch

from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig, ModelConfig, register_config
from common.errors import InvalidContentError, RegistrationError
from common.models.federated import FederatedModel
from common.models.graphs import Prior, load_prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.parameter_groups import ModelGroups

_MODELS: dict[str, type[FederatedModel]] = {}


def register_model(config: type[ModelConfig], model: type[FederatedModel]) -> None:
    """Let federation files name a kind of model.

    Args:
        config: the kind's name and settings.
        model: is built as `model(federation, prior)`.

    Raises:
        RegistrationError: if a part is missing, or the kind is registered already.
    """
    kind = getattr(config, "kind", None)
    if not (isinstance(config, type) and issubclass(config, ModelConfig) and isinstance(kind, str)):
        raise RegistrationError(
            f"model {model}", "has no settings class with a kind", "derive it from ModelConfig"
        )
    if not (isinstance(model, type) and issubclass(model, FederatedModel)):
        raise RegistrationError(
            f"model kind {kind}", "is not a FederatedModel", "derive its class from FederatedModel"
        )
    if missing := sorted(model.__abstractmethods__):
        what = f"does not define {', '.join(missing)}"
        raise RegistrationError(f"model kind {kind}", what, "see common.models.federated")
    try:
        signature(model).bind(None, None)
    except TypeError:
        what = "is not built from a federation and its graphs"
        raise RegistrationError(
            f"model kind {kind}", what, "give it __init__(self, federation, prior)"
        ) from None
    if _MODELS.get(kind, model) is not model:
        raise RegistrationError(f"model kind {kind}", "is registered already", "choose another name")
    register_config(config)
    _MODELS[kind] = model


register_model(HierarchicalConfig, HierarchicalMultimodalGNN)


def build_model(federation: Federation, folder: Path, seed: int) -> FederatedModel:
    """Build the model of a federation file, initialised from `seed`.

    The file's public files lie in `folder`.
    """
    return initial_model(federation, load_prior(federation, folder), seed)


def initial_model(federation: Federation, prior: Prior, seed: int) -> FederatedModel:
    """Build the model of a federation file over given graphs, initialised from `seed`.

    Raises:
        InvalidContentError: if the agreement asks for training that this kind of model cannot do.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _class_of(federation)(federation, prior)
    _check_training(federation, model)
    return model


def model_groups(federation: Federation, parameters: Iterable[str]) -> ModelGroups:
    """Averaging groups of the agreement's model by its parameters' names, without building it."""
    return _class_of(federation).describe(federation, parameters)


def _class_of(federation: Federation) -> type[FederatedModel]:
    return _MODELS[federation.model.kind]


def _check_training(federation: Federation, model: FederatedModel) -> None:
    """Refuse settings that would have no effect on this model."""
    kind = f"a model of kind {federation.model.kind}"
    if federation.training.contrastive_weight > 0 and model.views < 2:
        what = f"asks for two views of a patient, which {kind} does not compare"
        raise InvalidContentError("training.contrastive_weight", what, "set it to 0")
    if federation.privacy is not None and not model.groups().learnable(federation.privacy):
        what = f"trains nothing: {kind} has no linear part"
        raise InvalidContentError("privacy.learn", what, "set it to all")
