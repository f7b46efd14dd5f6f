"""A hospital takes a release into use that its coordinator signed, and no other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save
from typer.testing import CliRunner

from client.cli import site_app
from client.commands.adopt import adopt, performance, read_adoption, read_return
from client.commands.status import status, status_lines
from client.site_folder.places import Home
from client.site_folder.releases import file_of, open_adopted, read_adoptions
from common.agreement.federation import FILE_NAME, load
from common.errors import (
    ApprovalError,
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    StateError,
    UnreadableFileError,
)
from common.release.manifest import Parent
from common.release.members import WEIGHTS
from common.release.release import read_release
from common.release.stamp import arrays_of
from tests.client.conftest import PATIENTS, Hospital
from tests.released import Coordinator


@pytest.fixture
def coordinator(approved: Home, proposal: Path) -> Coordinator:
    """The coordinator whose certificate the site has."""
    made = Coordinator(proposal, load(proposal / FILE_NAME), ("north",))
    approved.authority.write_bytes(made.authority.read_bytes())
    return made


def take(home: Home, file: Path) -> None:
    adopt(home, read_adoption(home, file))


def parent_of(file: Path) -> Parent:
    release = read_release(file, None)
    return Parent(version=release.version, sha256=release.manifest.sha256)


def test_every_release_is_kept_and_the_last_is_in_use(approved: Home, coordinator: Coordinator) -> None:
    first = coordinator.write("test-1")
    take(approved, first)
    second = coordinator.write("test-2", parent_of(first), seed=1)
    take(approved, second)
    assert open_adopted(approved).version == "test-2"
    assert file_of(approved, "test-1").read_bytes() == first.read_bytes()
    assert [release.version for release in read_adoptions(approved).adopted] == ["test-1", "test-2"]


def test_a_release_that_this_version_cannot_compute_is_refused(
    approved: Home, coordinator: Coordinator
) -> None:
    members = coordinator.members()
    weights = arrays_of(members[WEIGHTS])
    weights[min(weights)] = np.zeros((2, 2), np.float32)
    file = coordinator.folder / "other.zip"
    file.write_bytes(coordinator.made(members=members | {WEIGHTS: save(weights)})[1])
    with pytest.raises(InvalidContentError):
        read_adoption(approved, file)
    assert not approved.releases.exists()


def test_one_can_go_back_and_forth_but_no_further_back_than_the_first(
    approved: Home, coordinator: Coordinator
) -> None:
    with pytest.raises(StateError):
        read_return(approved)
    files = [coordinator.write(f"test-{number}") for number in (1, 2, 3)]
    for file in files:
        take(approved, file)
    for version in ("test-2", "test-1"):
        adopt(approved, read_return(approved))
        assert open_adopted(approved).version == version
    with pytest.raises(StateError):
        read_return(approved)
    with pytest.raises(StateError):
        read_adoption(approved, files[1])  # older than one that was adopted
    take(approved, files[2])
    assert open_adopted(approved).version == "test-3"
    assert len(read_adoptions(approved).adopted) == 3


def test_an_older_release_is_refused_even_if_it_was_never_adopted(
    approved: Home, coordinator: Coordinator
) -> None:
    take(approved, coordinator.write("test-10"))
    with pytest.raises(StateError):
        read_adoption(approved, coordinator.write("test-9"))
    with pytest.raises(StateError):
        read_adoption(approved, coordinator.write("test-10"))  # in use


def test_a_second_release_of_the_same_version_or_another_history_is_refused(
    approved: Home, coordinator: Coordinator
) -> None:
    take(approved, coordinator.write("test-1"))
    with pytest.raises(IntegrityError):
        read_adoption(approved, coordinator.write("test-1", seed=1))
    with pytest.raises(IntegrityError):
        read_adoption(approved, coordinator.write("test-2", Parent(version="test-1", sha256="0" * 64)))


def test_a_revoked_release_is_neither_adopted_nor_gone_back_to_nor_used(
    approved: Home, coordinator: Coordinator
) -> None:
    for number, revoked in ((1, ()), (2, ()), (3, ("test-2", "test-4"))):
        take(approved, coordinator.write(f"test-{number}", revoked=revoked))
    adopt(approved, read_return(approved))
    assert open_adopted(approved).version == "test-1"
    with pytest.raises(StateError):
        read_adoption(approved, coordinator.write("test-4"))
    take(approved, coordinator.write("test-5", revoked=("test-5",)))
    with pytest.raises(StateError):
        open_adopted(approved)


def test_the_release_of_another_coordinator_is_refused(
    approved: Home, coordinator: Coordinator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    import shutil

    folder = tmp_path_factory.mktemp("stranger") / "agreement"
    shutil.copytree(coordinator.folder, folder)
    stranger = Coordinator(folder, coordinator.federation)
    with pytest.raises(IntegrityError):
        read_adoption(approved, stranger.write())


def test_a_release_of_another_federation_file_or_without_approval_is_refused(
    approved: Home, coordinator: Coordinator, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("other")
    federation = coordinator.federation.changed({"training.rounds": "7"}).model_copy(
        update={"prior": type(coordinator.federation.prior)()}
    )
    other = Coordinator(folder, federation)
    other.key = coordinator.key
    with pytest.raises(ApprovalError):
        read_adoption(approved, other.write())
    file = coordinator.write()
    take(approved, file)
    approved.approval.unlink()
    with pytest.raises(MissingFileError):
        read_adoption(approved, file)
    assert open_adopted(approved).version == "test-1"  # which another approval does not take away


def test_a_kept_file_or_record_that_was_changed_is_refused(approved: Home, coordinator: Coordinator) -> None:
    take(approved, coordinator.write("test-1"))
    file_of(approved, "test-1").write_bytes(coordinator.write("test-1", seed=1).read_bytes())
    with pytest.raises(IntegrityError):
        open_adopted(approved)
    file_of(approved, "test-1").write_bytes(b"")
    with pytest.raises(InputError):
        open_adopted(approved)
    take(approved, coordinator.write("test-1"))
    assert open_adopted(approved).version == "test-1"
    (approved.releases / "adopted.json").write_text("{")
    with pytest.raises(UnreadableFileError):
        open_adopted(approved)


def test_a_release_signed_anew_by_a_new_authority_takes_the_kept_files_place(
    approved: Home, coordinator: Coordinator
) -> None:
    first = coordinator.write()
    take(approved, first)
    renewed = Coordinator(coordinator.folder, coordinator.federation, ("north",))
    approved.authority.write_bytes(renewed.authority.read_bytes())
    with pytest.raises(IntegrityError):
        open_adopted(approved)
    take(approved, renewed.write())
    assert open_adopted(approved).version == "test-1"
    assert len(read_adoptions(approved).adopted) == 1


def test_performance_is_on_validation_patients_of_a_hospital_that_trained(
    approved: Home, coordinator: Coordinator, hospital: Hospital
) -> None:
    whose, (survival, response, _) = performance(approved, read_adoption(approved, coordinator.write()))
    assert "validation" in whose
    assert survival.counts["labelled"] == response.counts["labelled"] == PATIENTS // 4
    stranger = Coordinator(coordinator.folder, coordinator.federation, ("south",))
    approved.authority.write_bytes(stranger.authority.read_bytes())
    whose, (survival, _, _) = performance(approved, read_adoption(approved, stranger.write()))
    assert "validation" not in whose
    assert (survival.counts["labelled"], survival.counts["events"]) == (PATIENTS, PATIENTS // 2)
    assert survival.value is not None


def test_what_another_command_adopted_in_the_meantime_is_not_lost(
    approved: Home, coordinator: Coordinator
) -> None:
    first = coordinator.write("test-1")
    asked = read_adoption(approved, first)
    take(approved, coordinator.write("test-2", parent_of(first), seed=1))
    before = read_adoptions(approved)
    with pytest.raises(StateError):
        adopt(approved, asked)
    assert read_adoptions(approved) == before
    assert not file_of(approved, "test-1").exists()


def test_the_command_explains_asks_and_adopts(approved: Home, coordinator: Coordinator) -> None:
    file, folder = str(coordinator.write()), str(approved.folder)
    run = CliRunner().invoke
    declined = run(site_app, ["adopt", folder, file], input="n\n")
    assert declined.exit_code == 1
    assert not approved.releases.exists()
    assert "C-index" in declined.output
    assert run(site_app, ["adopt", folder, file], input="y\n").exit_code == 0
    assert read_adoptions(approved).current == "test-1"
    for wrong in ([folder], [folder, file, "--back"], [folder, file, "--yes"], [folder, "--back", "--yes"]):
        assert run(site_app, ["adopt", *wrong]).exit_code == 2
    assert run(site_app, ["adopt", folder, str(coordinator.write("test-2")), "--yes"]).exit_code == 0
    assert run(site_app, ["adopt", folder, "--back", "--yes"]).exit_code == 0
    assert status(approved).release == "test-1"
    assert any("test-1" in line for line in status_lines(status(approved)))
    record = json.loads((approved.releases / "adopted.json").read_text())
    assert (record["current"], len(record["adopted"])) == ("test-1", 2)


def test_without_usable_tables_it_says_so_and_adopts(
    approved: Home, coordinator: Coordinator, hospital: Hospital
) -> None:
    table = pd.read_csv(approved.folder / "clinical.csv").drop(columns="age")
    table.to_csv(approved.folder / "clinical.csv", index=False)
    ended = CliRunner().invoke(site_app, ["adopt", str(approved.folder), str(coordinator.write()), "--yes"])
    assert ended.exit_code == 0
    assert "cannot be said" in ended.output
    assert read_adoptions(approved).current == "test-1"
