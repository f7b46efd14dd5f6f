"""A layer has a name in files and is built from a graph, two widths and a number of heads."""

from typing import Any

import pytest
from torch import nn

from common.errors import InvalidContentError, RegistrationError
from common.models import layer_kinds
from common.models.graphs import Topology, topology
from common.models.layer_kinds import layer_between_nodes, register_layer


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_kinds, "_LAYERS", dict(layer_kinds._LAYERS))


def plain(graph: Topology, width_in: int, width_out: int, heads: int) -> nn.Module:
    return nn.Linear(width_in, width_out)


def test_a_registered_layer_is_built_by_its_name() -> None:
    register_layer("plain", plain)
    assert isinstance(layer_between_nodes("plain", topology(2, []), 3, 4, 1), nn.Linear)


@pytest.mark.parametrize("factory", [object, None, nn.ReLU, lambda graph: None])
def test_what_builds_no_layer_is_refused(factory: Any) -> None:
    with pytest.raises(RegistrationError):
        register_layer("weird", factory)
    with pytest.raises(InvalidContentError):
        layer_between_nodes("weird", topology(2, []), 3, 4, 1)


@pytest.mark.parametrize("name", ["gcn", "gat", "", "a/b", "Plain", "two words"])
def test_a_name_that_is_taken_or_of_another_form_is_refused(name: str) -> None:
    with pytest.raises(RegistrationError):
        register_layer(name, plain)
