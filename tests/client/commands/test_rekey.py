import os
import shutil
from pathlib import Path

import pytest

from client.commands import rekey as rekeying
from client.commands.rekey import rekey
from client.ledger.ledger import Ledger
from client.receipts.page import read_receipts
from client.receipts.verification import verify
from client.runtime.services import state_file
from client.site_folder.keys import new_key, read_key, read_public_key
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Home
from common.errors import IntegrityError, MissingFileError, Refusal, RefusalCode, StateError
from common.node_keys import fingerprint
from common.processes.supervision_state import State, birth_of
from tests.client.conftest import NO_LIMIT, ROUND
from tests.client.receipts.sent import send
from tests.leftover import left_running


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    private, public = new_key()
    home.key.parent.mkdir()
    home.key.write_bytes(private)
    home.key.chmod(0o600)
    home.public_key.write_bytes(public)
    return home


def test_a_new_key_begins_new_receipts_and_the_old_ones_stay_whole(home: Home) -> None:
    send(home, 3)
    old = fingerprint(read_key(home.key).public_key())
    done = rekey(home)
    assert done.archive is not None
    assert (done.old, done.new) == (old, fingerprint(read_public_key(home.public_key)))
    assert done.old != done.new
    assert fingerprint(read_key(home.key).public_key()) == done.new
    assert home.key.stat().st_mode & 0o777 == 0o600
    assert not home.receipts.parent.exists()
    archived = verify(done.archive / home.receipts.name, read_public_key(done.archive / "node_key.pub"))
    assert len(archived.receipts) == 3
    send(home, 1)
    assert len(verify(home.receipts, read_public_key(home.public_key)).receipts) == 1


def test_a_key_that_signed_nothing_leaves_nothing_behind(home: Home) -> None:
    assert rekey(home).archive is None
    assert sorted(path.name for path in home.folder.iterdir()) == ["keys"]


def test_a_running_site_keeps_its_key(home: Home) -> None:
    before, mine = home.key.read_bytes(), os.getpid()
    running = State(pid=mine, birth=birth_of(mine) or "", services={})
    state_file(home).parent.mkdir()
    state_file(home).write_text(running.model_dump_json())
    with pytest.raises(StateError) as raised:
        rekey(home)
    assert str(mine) in raised.value.what
    assert "consilium site stop" in raised.value.remedy
    assert home.key.read_bytes() == before


def test_without_a_key_there_is_nothing_to_replace(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as raised:
        rekey(Home(tmp_path))
    assert raised.value.where == str(Home(tmp_path).key)


def test_a_crash_before_the_new_key_loses_no_receipt(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    send(home, 2)
    replace = Path.replace

    def dies(self: Path, target: Path) -> Path:
        if target == home.key:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        rekey(home)
    monkeypatch.undo()
    (archive,) = home.folder.glob("receipts-until-*")
    public = read_public_key(archive / "node_key.pub")
    assert len(verify(archive / home.receipts.name, public).receipts) == 2
    send(home, 1)
    assert rekey(home).archive != archive


def test_a_crash_between_private_and_public_key_is_mended_by_repeating_it(home: Home) -> None:
    home.key.write_bytes(new_key()[0])
    before = fingerprint(read_key(home.key).public_key())
    assert rekey(home).old == before


def test_a_new_key_starts_the_count_outside_again(home: Home) -> None:
    send(home, 3)
    rekey(home)
    assert read_receipts(home).outside == 0
    send(home, 2)
    assert read_receipts(home).outside == 2


def test_receipts_that_were_archived_are_not_missed_after_a_crash(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the archive, or unable to tell the count outside: the archive has what is known there."""
    send(home, 3)

    def full(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(rekeying, "restart_outside_count", full)
        done = rekey(home)
    assert done.archive is not None
    assert read_receipts(home).receipts == ()
    away = done.archive.rename(home.folder / "elsewhere")
    with pytest.raises(IntegrityError) as raised:
        send(home, 1)
    assert raised.value.where == str(home.receipts)
    assert [number for number in raised.value.what.replace(",", " ").split() if number.isdigit()] == [
        "0",
        "3",
    ]
    away.rename(done.archive)
    send(home, 1)
    assert read_receipts(home).outside == 1


def test_the_ledger_goes_on_with_the_new_key_and_an_older_folder_with_the_old_one_is_refused(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Ledger(home.folder) as ledger:
        ledger.reserve("run", 1, [ROUND], NO_LIMIT)
    older = shutil.copytree(home.folder, tmp_path_factory.mktemp("backup") / "site")
    rekey(home)
    with Ledger(home.folder) as ledger:
        ledger.reserve("run", 2, [ROUND], NO_LIMIT)
    rekey(home)
    with Ledger(home.folder) as ledger:
        assert ledger.releases() == [ROUND, ROUND]
    with pytest.raises(Refusal) as raised:
        Ledger(older)
    assert raised.value.code == RefusalCode.LEDGER_INVALID


def test_a_state_folder_that_cannot_be_written_keeps_the_old_key(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = home.key.read_bytes()
    (home.folder / "no-folder").touch()
    monkeypatch.setenv(STATE_VARIABLE, str(home.folder / "no-folder" / "state"))
    with pytest.raises(OSError):
        rekey(home)
    assert home.key.read_bytes() == before


def test_services_that_were_left_running_keep_their_key(home: Home) -> None:
    before = home.key.read_bytes()
    with (
        left_running(state_file(home), "supernode"),
        pytest.raises(StateError) as raised,
    ):
        rekey(home)
    assert "supernode" in raised.value.what
    assert home.key.read_bytes() == before
