"""A site that starts as another user or with another state folder than it was approved says so at once."""

import os
from pathlib import Path

import pytest

from client.commands.approve import approve, read_proposal
from client.runtime.same_account import require_same_account
from client.site_folder.places import Home
from common.errors import MissingFileError, StateError
from tests.client.kills import in_child


@pytest.fixture
def approved(prepared: Home, proposal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state-of-approval"))
    approve(prepared, read_proposal(prepared, proposal))
    return prepared


def test_the_same_user_and_state_folder_are_right(approved: Home) -> None:
    require_same_account(approved)


def test_another_state_folder_is_named_beside_that_of_the_approval(
    approved: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "another"))
    with pytest.raises(StateError) as raised:
        require_same_account(approved)
    assert "state-of-approval" in raised.value.what
    assert str(tmp_path / "another") in raised.value.what
    assert "CONSILIUM_STATE" in raised.value.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can become another user")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_another_user_is_named_beside_the_one_who_approved(approved: Home, mode: int) -> None:
    approved.folder.chmod(mode)
    closed = [folder for folder in approved.folder.parents if not folder.stat().st_mode & 0o001]
    for folder in closed:  # those that pytest made
        folder.chmod(0o711)

    def life() -> int:
        os.setresuid(12345, 12345, 12345)
        try:
            require_same_account(approved)
        except StateError as error:
            return 0 if "user root" in error.what and "user number 12345" in error.what else 1
        return 2

    status = in_child(life)
    for folder in closed:
        folder.chmod(0o700)
    assert status == 0


def test_without_an_approval_that_is_what_is_said(prepared: Home) -> None:
    with pytest.raises(MissingFileError):
        require_same_account(prepared)
