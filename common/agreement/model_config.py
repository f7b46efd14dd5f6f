"""The `[model]` section of a federation file: settings of the model that `kind` chooses.

A kind that another package brings registers its settings here, so that a federation file is checked whole before any
model is built.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from common.agreed import Agreed, NameOf
from common.errors import OptionError, RegistrationError

DEFAULT = "hierarchical"
"""The kind that a federation file means without naming one; it has no `kind` in the canonical form either."""


class ModelConfig(Agreed):
    """Base class of the settings of a kind of model.

    Attributes:
        kind: name of the kind in a federation file.
        masks: settings that draw random masks by position in a batch, which must be 0 under privacy.
        has_scores: whether the model has linear scores of its values, which can be fitted by themselves.
    """

    kind: ClassVar[str]
    masks: ClassVar[tuple[str, ...]] = ()
    has_scores: ClassVar[bool] = False

    @classmethod
    def of(cls, config: "ModelConfig") -> Self:
        """Return the settings as those of this kind.

        Raises:
            TypeError: if they are of another kind.
        """
        if not isinstance(config, cls):
            raise TypeError(f"a model of kind {config.kind} has other settings than {cls.kind}")
        return config

    @model_serializer(mode="wrap")
    def _with_kind(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = self._written(fields(self))
        return data if self.kind == DEFAULT else {"kind": self.kind, **data}

    def _written(self, data: dict[str, Any]) -> dict[str, Any]:
        """The settings as a federation file has them."""
        return data


MOST_DROPPED = 0.9
"""Largest share that dropout leaves out: what is left is scaled by 1 / (1 - share), and tells of few patients."""


class HierarchicalConfig(ModelConfig):
    """Sizes of the hierarchical network; width grows up the hierarchy.

    Attributes:
        layers: names of the layers between nodes in their order, instead of `gcn_layers` and `gat_layers`.
    """

    kind = DEFAULT
    masks = ("dropout", "node_dropout", "modality_dropout")
    has_scores = True

    node_width: int = Field(default=8, ge=1, le=1024)
    pathway_width: int = Field(default=16, ge=1, le=1024)
    width: int = Field(default=32, ge=4, le=8192)
    heads: int = Field(default=4, ge=1, le=256)
    node_heads: int = Field(default=2, ge=1, le=256)
    gcn_layers: int = Field(default=1, ge=0, le=64)
    gat_layers: int = Field(default=0, ge=0, le=64, description="between nodes")
    layers: tuple[str, ...] | None = Field(default=None, max_length=64)
    pathway_gat_layers: int = Field(default=1, ge=0, le=64)
    fusion_layers: int = Field(default=1, ge=0, le=64)
    dropout: float = Field(default=0.3, ge=0, le=MOST_DROPPED)
    node_dropout: float = Field(default=0.2, ge=0, le=MOST_DROPPED)
    modality_dropout: float = Field(default=0.1, ge=0, le=MOST_DROPPED)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if (
            self.width % self.heads
            or self.node_width % self.node_heads
            or self.pathway_width % self.node_heads
        ):
            raise ValueError("heads must divide width; node_heads must divide node_width and pathway_width")
        return self

    @model_validator(mode="after")
    def _counts_or_names_layers(self) -> Self:
        if self.layers is not None and {"gcn_layers", "gat_layers"} & self.model_fields_set:
            raise ValueError("layers names the layers between nodes: leave out gcn_layers and gat_layers")
        return self

    def registered_names(self) -> Iterator[tuple[NameOf, str]]:
        """The layers between nodes."""
        return ((NameOf.LAYER, layer) for layer in self.node_layers)

    @property
    def node_layers(self) -> tuple[str, ...]:
        """Names of the layers between nodes, in their order."""
        if self.layers is not None:
            return self.layers
        return ("gcn",) * self.gcn_layers + ("gat",) * self.gat_layers

    @property
    def pathway_layers(self) -> tuple[str, ...]:
        """Names of the layers between pathways, in their order."""
        return ("gat",) * self.pathway_gat_layers

    def _written(self, data: dict[str, Any]) -> dict[str, Any]:
        unused = ("layers",) if self.layers is None else ("gcn_layers", "gat_layers")
        return {name: value for name, value in data.items() if name not in unused}


_CONFIGS: dict[str, type[ModelConfig]] = {DEFAULT: HierarchicalConfig}


def register_config(config: type[ModelConfig]) -> None:
    """Accept a kind of model in federation files.

    Raises:
        RegistrationError: if another class has that kind.
    """
    if _CONFIGS.setdefault(config.kind, config) is not config:
        raise RegistrationError(f"model kind {config.kind}", "is registered already", "choose another name")


def default_settings(kind: str) -> dict[str, Any]:
    """Settings of a kind of model as plain data, None where there is no default.

    Raises:
        OptionError: if no model of that kind is registered.
    """
    if kind not in _CONFIGS:
        what = "is none of the registered models"
        raise OptionError(f"model.kind {kind}", what, f"use {' or '.join(sorted(_CONFIGS))}")
    fields = _CONFIGS[kind].model_fields
    defaults = {name: None if field.is_required() else field.get_default() for name, field in fields.items()}
    return {"kind": kind, **defaults}


def _of_its_kind(section: object) -> object:
    """Return the section as the settings class of its `kind`.

    Anything but a section is left for pydantic to refuse.
    """
    if not isinstance(section, dict):
        return section
    kind = section.get("kind", DEFAULT)
    if kind not in _CONFIGS:
        raise ValueError(f"kind is none of the registered models, use {' or '.join(sorted(_CONFIGS))}")
    rest = {name: value for name, value in section.items() if name != "kind"}
    return _CONFIGS[kind].model_validate(rest, strict=False)


ModelSection = Annotated[SerializeAsAny[ModelConfig], BeforeValidator(_of_its_kind)]
"""The `[model]` section as a field of the federation file."""
