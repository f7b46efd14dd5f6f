"""Kinds of model and of layers by name: what is refused, and that the default kind leaves no trace in a file."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.model_config import HierarchicalConfig, ModelConfig
from common.errors import InputCode, InputError
from common.models.federated import FederatedModel, Logits
from common.models.graphs import Prior, Topology
from common.models.layer_kinds import register_layer
from common.models.layers import GAT, GCN
from common.models.registry import initial_model, register_model
from common.patients.batch import PatientBatch
from tests.common.models.plain_mlp import PlainMLP, PlainMLPConfig, register

Make = Callable[..., Federation]
DIGEST = "f5174dd16bbc6357d971025426e9507ff04191be1c7c03b329f94abbb3e15b08"
"""Digest of the federation of these tests, before a file could name a kind of model."""


def code_of(call: Callable[[], object]) -> InputCode:
    with pytest.raises(InputError) as refused:
        call()
    return refused.value.code


def test_the_default_kind_is_not_written(federation: Federation, tmp_path: Path) -> None:
    assert federation.digest == DIGEST
    save(federation, tmp_path / FILE_NAME)
    section = tomllib.loads((tmp_path / FILE_NAME).read_text())["model"]
    assert "kind" not in section
    assert "layers" not in section
    named = federation.data() | {"model": {"kind": "hierarchical", **section}}
    assert Federation.model_validate(named).digest == federation.digest


def test_another_kind_brings_its_settings(make_federation: Make, tmp_path: Path) -> None:
    register()
    federation = make_federation(model={"kind": "plain-mlp", "hidden": 4})
    assert federation.model == PlainMLPConfig(hidden=4)
    save(federation, tmp_path / FILE_NAME)
    again = load(tmp_path / FILE_NAME)
    assert again == federation
    assert again.digest == federation.digest != make_federation(model={"kind": "plain-mlp"}).digest
    assert federation.changed({"model.hidden": "5"}).model == PlainMLPConfig(hidden=5)
    assert federation.changed({"model.kind": "hierarchical"}).model == HierarchicalConfig()


@pytest.mark.parametrize(
    "settings",
    [{"model.kind": "no-such"}, {"model.kind": "plain-mlp", "model.width": "8"}, {"model.hidden": "2"}],
)
def test_a_setting_of_no_or_another_kind_is_an_option_error(
    federation: Federation, settings: dict[str, str]
) -> None:
    register()
    assert code_of(lambda: federation.changed(settings)) is InputCode.OPTION_INVALID


@pytest.mark.parametrize(
    "section",
    ['kind = "no-such"', "kind = 3", "layers = ['gcn']\ngcn_layers = 1", "no_such = 1", "width = 0"],
)
def test_an_unknown_kind_or_setting_makes_a_file_invalid(
    federation: Federation, tmp_path: Path, section: str
) -> None:
    save(federation.model_copy(update={"model": HierarchicalConfig()}), tmp_path / FILE_NAME)
    text = (tmp_path / FILE_NAME).read_text()
    start, end = text.index("[model]"), text.index("[training]")
    (tmp_path / FILE_NAME).write_text(f"{text[:start]}[model]\n{section}\n\n{text[end:]}")
    with pytest.raises(InputError) as refused:
        load(tmp_path / FILE_NAME)
    assert refused.value.code is InputCode.CONTENT_INVALID
    assert "model" in refused.value.where


class Unfinished(FederatedModel):
    """No forward."""


class OtherInputs(PlainMLP):
    """A constructor of another form."""

    def __init__(self, width: int) -> None:
        raise NotImplementedError


class Same(ModelConfig):
    """The kind of another model."""

    kind = "hierarchical"


class WithoutKind(ModelConfig):
    """No kind."""


class Fresh(ModelConfig):
    """A kind of its own."""

    kind = "fresh"


@pytest.mark.parametrize(
    ("config", "model"),
    [
        (Fresh, Unfinished),
        (Fresh, OtherInputs),
        (Fresh, nn.Linear),
        (Same, PlainMLP),
        (WithoutKind, PlainMLP),
    ],
)
def test_a_model_that_misses_a_part_is_not_registered(config: Any, model: Any, make_federation: Make) -> None:
    assert code_of(lambda: register_model(config, model)) is InputCode.REGISTRATION_INVALID
    with pytest.raises(ValidationError) as refused:
        make_federation(model={"kind": "fresh"})
    assert refused.value.errors()[0]["loc"][0] == "model"


def test_registering_the_same_model_again_changes_nothing() -> None:
    register()
    register()


def test_named_layers_are_the_same_as_counted_ones(
    make_federation: Make, prior: Prior, tmp_path: Path
) -> None:
    counted = make_federation(model=HierarchicalConfig(gcn_layers=1, gat_layers=2))
    named = make_federation(model=HierarchicalConfig(layers=("gcn", "gat", "gat")))
    first, second = (initial_model(federation, prior, 3).state_dict() for federation in (counted, named))
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())
    assert second.keys() == first.keys()
    save(named, tmp_path / FILE_NAME)
    assert load(tmp_path / FILE_NAME) == named
    assert named.changed({"model.width": "64"}).model == HierarchicalConfig(
        layers=("gcn", "gat", "gat"), width=64
    )


class Mean(nn.Module):
    """Mean of a node's value along the graph and a constant share of it."""

    def __init__(self, graph: Topology, width_in: int, width_out: int, heads: int) -> None:
        super().__init__()
        self.mixed = GCN(graph, width_in, width_out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = (x + self.mixed(x)) / 2
        return mixed


def test_a_registered_layer_is_built_by_its_name(
    make_federation: Make, prior: Prior, make_batch: Callable[..., PatientBatch]
) -> None:
    register_layer("mean", Mean)
    model = initial_model(make_federation(model=HierarchicalConfig(layers=("mean", "gat"))), prior, 0)
    assert sum(isinstance(module, Mean) for module in model.modules()) == 3  # imaging has no edges
    logits: Logits = model.eval()(make_batch(4))
    assert all(tensor.isfinite().all() for tensor in logits.values())
    assert code_of(lambda: register_layer("gat", GAT)) is InputCode.REGISTRATION_INVALID
    unknown = make_federation(model=HierarchicalConfig(layers=("no-such",)))
    assert code_of(lambda: initial_model(unknown, prior, 0)) is InputCode.CONTENT_INVALID
