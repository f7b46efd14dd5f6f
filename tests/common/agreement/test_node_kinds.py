import pytest
from pydantic import ValidationError

from common.agreement import node_kinds
from common.agreement.modalities import Modality
from common.agreement.node_kinds import NodeKind, node_kind, register_node_kind
from common.errors import RegistrationError


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_kinds, "_KINDS", dict(node_kinds._KINDS))


def test_a_modality_is_of_a_registered_kind_alone() -> None:
    with pytest.raises(ValidationError):
        Modality(name="methylation", node="cpg", columns=("cg01",))
    kind = register_node_kind(NodeKind("cpg", edges="all"))
    assert Modality(name="methylation", node="cpg", columns=("cg01",)).node_kind is kind


def test_a_name_is_taken_once() -> None:
    with pytest.raises(RegistrationError):
        register_node_kind(NodeKind("gene"))
    assert node_kind("gene").has_pathways


@pytest.mark.parametrize(("name", "edges"), [("clinical", "all"), ("gene", "prior"), ("imaging", "none")])
def test_how_nodes_are_joined(name: str, edges: str) -> None:
    assert node_kind(name).edges == edges
