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
)

from common.agreed import Agreed, NameOf, Problem, about, incoherent
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
    """Sizes of the hierarchical network; width grows up the hierarchy."""

    kind = DEFAULT
    masks = ("dropout", "node_dropout", "modality_dropout")
    has_scores = True

    node_width: int = Field(
        default=8,
        ge=1,
        le=1024,
        description="Numbers by which the network describes a column.",
        json_schema_extra=about(
            example=16, change="Raise it with thousands of patients; `node_heads` must divide it."
        ),
    )
    pathway_width: int = Field(
        default=16,
        ge=1,
        le=1024,
        description="Numbers by which the network describes a pathway.",
        json_schema_extra=about(
            example=32, change="Raise it with thousands of patients; `node_heads` must divide it."
        ),
    )
    width: int = Field(
        default=32,
        ge=4,
        le=8192,
        description="Numbers by which the network describes a modality, and the patient.",
        json_schema_extra=about(
            example=64, change="Raise it with thousands of patients; `heads` must divide it."
        ),
    )
    heads: int = Field(
        default=4,
        ge=1,
        le=256,
        description="Attention heads over modalities.",
        json_schema_extra=about(example=2, change="Keep it unless `width` is changed."),
    )
    node_heads: int = Field(
        default=2,
        ge=1,
        le=256,
        description="Attention heads over columns and pathways.",
        json_schema_extra=about(
            example=4, change="Keep it unless `node_width` or `pathway_width` is changed."
        ),
    )
    gcn_layers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Graph convolutions between columns, along the edges of `[prior]`.",
        json_schema_extra=about(example=0, change="Set 0 to leave the edges out."),
    )
    gat_layers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Graph attention layers between columns; each takes ten times as long as a convolution.",
        json_schema_extra=about(example=1, change="Raise it only where a simulation shows a gain."),
    )
    layers: tuple[str, ...] | None = Field(
        default=None,
        max_length=64,
        description="Names of the layers between columns in their order, instead of `gcn_layers` and `gat_layers`.",
        json_schema_extra=about(
            example=["gcn", "gat"], change="Use it to mix layers, or for those of a plug-in."
        ),
    )
    pathway_gat_layers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Graph attention layers between pathways, along `prior.hierarchy`.",
        json_schema_extra=about(example=0, change="Set 0 without a hierarchy that you trust."),
    )
    fusion_layers: int = Field(
        default=1,
        ge=0,
        le=64,
        description="Transformer layers that join the modalities of a patient.",
        json_schema_extra=about(
            example=2, change="Raise it with thousands of patients and several modalities."
        ),
    )
    dropout: float = Field(
        default=0.3,
        ge=0,
        le=MOST_DROPPED,
        description="Share of the network's numbers that each local step leaves out.",
        json_schema_extra=about(
            example=0.0, change="Set 0 under `[privacy]`, whose noise regularises instead."
        ),
    )
    node_dropout: float = Field(
        default=0.2,
        ge=0,
        le=MOST_DROPPED,
        description="Share of a patient's values that each local step hides.",
        json_schema_extra=about(
            example=0.0, change="Set 0 under `[privacy]`; raise it where values are often missing."
        ),
    )
    modality_dropout: float = Field(
        default=0.1,
        ge=0,
        le=MOST_DROPPED,
        description="Share of patients of whom each local step hides a whole modality.",
        json_schema_extra=about(
            example=0.0, change="Set 0 under `[privacy]`; raise it where hospitals lack tables."
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Widths that heads do not divide, and layers that are both counted and named."""
        for width, heads in (
            ("width", "heads"),
            ("node_width", "node_heads"),
            ("pathway_width", "node_heads"),
        ):
            if getattr(self, width) % getattr(self, heads):
                what = f"is {getattr(self, width)}, which {heads} = {getattr(self, heads)} must divide"
                yield Problem((width,), what, f"make {width} a multiple of {heads}")
        if self.layers is not None and {"gcn_layers", "gat_layers"} & self.model_fields_set:
            what = "names the layers between nodes, which gcn_layers and gat_layers count"
            yield Problem(("layers",), what, "leave out gcn_layers and gat_layers")

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
ModelConfig.by_kind = _CONFIGS  # type: ignore[assignment]


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
        what = "kind is none of the registered models"
        raise incoherent(what, f"use {' or '.join(sorted(_CONFIGS))}, or name the plug-in that brings it")
    rest = {name: value for name, value in section.items() if name != "kind"}
    return _CONFIGS[kind].model_validate(rest, strict=False)


ModelSection = Annotated[SerializeAsAny[ModelConfig], BeforeValidator(_of_its_kind)]
"""The `[model]` section as a field of the federation file."""
