"""Check of a federation file: what a hospital would refuse is found before it is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, Federation, save
from common.agreement.modalities import Modality
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Participant, Training
from common.checking.checking import check, sound_agreement
from common.errors import GuaranteeError, InputCode, IntegrityError
from tests.conftest import _federation

PRIVACY = Privacy(noise_multiplier=1.0, sampling_rate=1.0, expected_batch_size=50.0)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    def write(federation: Federation) -> Path:
        save(federation, tmp_path / FILE_NAME)
        return tmp_path

    return write


def test_a_sound_file_has_neither_faults_nor_warnings(folder: Callable[..., Path]) -> None:
    sizes = tuple(Participant(name=name, patients=200) for name in ("one", "two"))
    source = folder(_federation(participants=sizes, training=Training(rounds=3)))

    checked = check(source)

    assert (checked.faults, checked.warnings) == ((), ())
    assert sound_agreement(source).name == "test"


def test_a_setting_that_changes_nothing_is_warned_of(folder: Callable[..., Path]) -> None:
    sizes = (Participant(name="one", patients=200),)
    training = Training(rounds=3, proximal_mu=0.7, server_learning_rate=0.5)
    source = folder(_federation(participants=sizes, training=training))

    warnings = check(source, trained=False).warnings

    assert [warning.key for warning in warnings] == ["training.proximal_mu", "training.server_learning_rate"]


def test_all_that_breaks_privacy_is_found_with_its_line(folder: Callable[..., Path]) -> None:
    source = folder(_federation(privacy=PRIVACY))

    checked = check(source)

    keys = {fault.key for fault in checked.faults}
    assert {"model.dropout", "model.node_dropout", "model.modality_dropout"} <= keys
    assert "training.learn_task_weights" in keys
    assert all(fault.line for fault in checked.faults)
    assert {fault.code for fault in checked.faults} == {InputCode.GUARANTEE_BROKEN}
    with pytest.raises(GuaranteeError, match="3 more"):
        sound_agreement(source)


def test_public_files_are_checked_each(folder: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text("a,b\nGENE0,GENE1\n")
    (tmp_path / "pathways.csv").write_text("pathway,gene\nalpha,GENE0\n")
    prior = PriorGraph(
        edges=PublicFile.of(tmp_path, "edges.csv"), pathways=PublicFile.of(tmp_path, "pathways.csv")
    )
    source = folder(_federation(prior=prior))
    assert check(source).faults == ()

    (tmp_path / "edges.csv").unlink()
    (tmp_path / "pathways.csv").write_text("other\n")

    assert {fault.code for fault in check(source).faults} == {
        InputCode.FILE_MISSING,
        InputCode.INTEGRITY_BROKEN,
    }
    (tmp_path / "edges.csv").write_text("a,b\nGENE0,GENE1\n")
    with pytest.raises(IntegrityError):
        sound_agreement(source)


@pytest.mark.parametrize(("content", "faults"), [("a\nGENE0\n", 1), ("a,b\nTP53,GENE99\n", 0)])
def test_edges_without_pairs_are_refused_and_those_of_nothing_warned_of(
    folder: Callable[..., Path], tmp_path: Path, content: str, faults: int
) -> None:
    (tmp_path / "edges.csv").write_text(content)
    source = folder(_federation(prior=PriorGraph(edges=PublicFile.of(tmp_path, "edges.csv"))))

    checked = check(source, trained=False)

    assert len(checked.faults) == faults
    assert ("prior.edges" in {warning.key for warning in checked.warnings}) == (not faults)


def test_a_column_without_a_scale_under_privacy_is_warned_of(folder: Callable[..., Path]) -> None:
    clinical = Modality(name="clinical", node="clinical", columns=("age",), categories={"sex": ("f", "m")})
    federation = _federation(privacy=PRIVACY, modalities=(clinical,))
    model = federation.model.model_copy(update=dict.fromkeys(federation.model.masks, 0.0))
    training = federation.training.model_copy(update={"learn_task_weights": False})
    source = folder(federation.model_copy(update={"model": model, "training": training}))

    checked = check(source, trained=False)

    assert checked.faults == ()
    assert any("age" in warning.what for warning in checked.warnings)


def test_a_file_that_is_none_is_one_fault(tmp_path: Path) -> None:
    assert [fault.code for fault in check(tmp_path).faults] == [InputCode.FILE_MISSING]
    (tmp_path / FILE_NAME).write_text("name = \n")
    assert [fault.code for fault in check(tmp_path).faults] == [InputCode.FILE_UNREADABLE]
