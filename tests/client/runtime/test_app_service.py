"""Two accounts: the app's answers the gate's, and can read neither its key nor its receipts."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.commands.approve import approve, read_proposal
from client.doctor.accounts import accounts
from client.runtime.app_link import AppService, BoundedRequest, connect_to_app
from client.runtime.app_service import serve_app
from client.site_folder.accounts import closed_or_open, require_separate, separate
from client.site_folder.keys import new_key
from client.site_folder.outside import STATE_VARIABLE
from client.site_folder.places import Connection, Home, read_connection
from common.agreement.federation import save
from common.agreement.privacy_settings import Privacy
from common.errors import InputError, Refusal, RefusalCode
from common.files import write_whole
from common.privacy.planning import with_privacy
from tests.attacks.attack_table import AttackRow
from tests.system.processes import until

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

GROUP, GATE, APP, STRANGER = 61000, 61001, 61002, 61003
PRIVACY = Privacy(noise_multiplier=8.0, sampling_rate=0.5, expected_batch_size=6)
OPEN = "import sys; open(sys.argv[1], 'rb').read(1)"


class Machine:
    """A machine with accounts for gate and app, and an interpreter that both can run.

    Args:
        folder: that every account can pass.
        python: the interpreter.
    """

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.home, self.state = Home(folder / "site"), folder / "state"
        self.socket = folder / "run" / "app.sock"

    def start(self, uid: int, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [self.python, "-P", *command],
            user=uid,
            group=GROUP,
            extra_groups=[],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", STATE_VARIABLE: str(self.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, uid: int, *command: str) -> str:
        process = self.start(uid, *command)
        printed, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
        return printed

    def opens(self, uid: int, path: Path) -> bool:
        """Whether a process under an account can open a file."""
        process = self.start(uid, "-c", OPEN, str(path))
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0 or "PermissionError" in errors, errors
        return process.returncode == 0

    def command(self, uid: int, *words: str) -> str:
        return self.run(uid, "-m", "consilium", *words)

    @contextmanager
    def app(self, uid: int = APP) -> Iterator["subprocess.Popen[str]"]:
        """The app's service under an account."""
        self.socket.parent.mkdir(mode=0o750, exist_ok=True)
        os.chown(self.socket.parent, uid, GROUP)
        service = self.start(
            uid, "-m", "consilium", "site", "app", str(self.home.folder), "--socket", str(self.socket)
        )
        try:
            until(lambda: self.socket.exists() or service.poll() is not None, "it does not listen")
            assert service.poll() is None, service.communicate()[1]
            yield service
        finally:
            service.terminate()
            service.communicate(timeout=60)


@pytest.fixture(scope="module")
def everybodys() -> Iterator[tuple[Path, str]]:
    """A folder that every account can pass, and an interpreter of ours there that every account can run."""
    if os.geteuid() != 0:
        pytest.skip("only root can run processes under two other accounts")
    folder = Path(tempfile.mkdtemp(prefix="consilium-accounts-"))
    folder.chmod(0o755)
    try:
        for base in (os.path.realpath(sys.executable), f"/usr/bin/python3.{sys.version_info.minor}"):
            try:
                subprocess.run([base, "-c", "import venv"], user=APP, group=GROUP, check=True, cwd="/")
            except (OSError, subprocess.CalledProcessError):
                continue
            subprocess.run([base, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
            (packages,) = (folder / "venv" / "lib").glob("*/site-packages")
            ours = [str(Path(__file__).parents[3]), *(path for path in sys.path if "site-packages" in path)]
            (packages / "ours.pth").write_text("\n".join(ours))
            yield folder, str(folder / "venv" / "bin" / "python")
            return
        pytest.skip("there is no interpreter that another account can run")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def machine(
    hospital: "Hospital", everybodys: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[bool], Machine]]:
    """Makes a machine whose site has approved a federation file, with privacy or without."""
    shared, python = everybodys
    folder = Path(tempfile.mkdtemp(dir=shared))
    folder.chmod(0o755)
    (folder / "state").mkdir()
    monkeypatch.setenv(STATE_VARIABLE, str(folder / "state"))

    def made(private: bool) -> Machine:
        if private:
            save(with_privacy(hospital.federation, PRIVACY), hospital.folder / "federation.toml")
        proposal = folder / "proposal"
        proposal.mkdir()
        shutil.move(hospital.folder / "federation.toml", proposal)
        shutil.copytree(hospital.folder, folder / "site")
        one = Machine(folder, python)
        key, public = new_key()
        write_whole(one.home.key, key, 0o600)
        write_whole(one.home.public_key, public)
        connection = Connection(coordinator="fl.example.org:9443")
        write_whole(one.home.connection, connection.model_dump_json().encode())
        approve(one.home, read_proposal(one.home, proposal))
        for path in (folder / "site", folder / "state"):
            for each in (path, *path.rglob("*")):
                os.chown(each, GATE, GROUP)
        one.command(GATE, "site", "separate", str(one.home.folder), "--socket", str(one.socket))
        return one

    yield made
    shutil.rmtree(folder)


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.parametrize("private", [False, True])
def test_the_app_answers_the_gate_and_cannot_read_its_key(
    machine: Callable[[bool], Machine], private: bool, attack_row: AttackRow
) -> None:
    one = machine(private)
    with one.app():
        asked = ("-m", "tests.client.runtime.gate_of_account", str(one.home.folder), str(one.socket))
        left = json.loads(one.run(GATE, *asked))
    expected = ["TrainReply"] if private else ["StatisticsReply", "TrainReply"]
    assert left == [[message, "passed", ""] for message in expected]
    written = one.home.folder / ("ledger" if private else "records")
    assert APP in {path.stat().st_uid for path in (*written.iterdir(), *one.home.cache.iterdir())}
    secrets = (one.home.key, one.home.receipts, one.home.receipts.with_suffix(".head.json"))
    read = [path for path in secrets if one.opens(APP, path)]
    attack_row("node key and receipts, from the app's account", "0 files read", f"{len(read)} read")
    assert read == []
    assert all(one.opens(GATE, path) for path in secrets)
    for path in (one.home.public_key, one.home.agreement, one.home.folder / "site.toml"):
        assert one.opens(APP, path)


@pytest.mark.slow
def test_an_approval_counts_in_a_ledger_that_the_app_wrote(machine: Callable[[bool], Machine]) -> None:
    one = machine(True)
    with one.app():
        one.run(GATE, "-m", "tests.client.runtime.gate_of_account", str(one.home.folder), str(one.socket))
    one.command(GATE, "site", "approve", str(one.home.folder), str(one.folder / "proposal"), "--yes")
    assert '"entries": 6' in one.command(GATE, "site", "ledger", str(one.home.folder), "--json")


@pytest.mark.slow
def test_only_the_gates_account_is_answered(machine: Callable[[bool], Machine]) -> None:
    one = machine(False)
    ask = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1))"
    with one.app():
        assert one.run(STRANGER, "-c", ask, str(one.socket)) == "b''\n"
    with one.app(STRANGER):
        os.chown(one.socket.parent, APP, GROUP)
        with pytest.raises(OSError):
            connect_to_app(one.socket)


@pytest.mark.slow
def test_the_doctor_tells_one_account_from_two(machine: Callable[[bool], Machine]) -> None:
    one = machine(False)
    with one.app():
        (found,) = accounts(one.home)
        assert (found.level, found.code) == ("ok", "ok")
        one.home.key.chmod(0o640)
        assert closed_or_open(one.home) == (one.home.key,)
        assert [found.code for found in accounts(one.home)] == ["access-wrong"]
        one.home.key.chmod(0o600)
    with one.app(GATE):
        assert [found.code for found in accounts(one.home)] == ["one-account"]
    assert [found.code for found in accounts(one.home)] == ["app-silent"]


@pytest.fixture
def separated(approved: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A site of one account that is set to ask a service."""
    folder = Path(tempfile.mkdtemp(prefix="consilium-"))  # short enough for the name of a socket
    separate(approved, folder / "app.sock")
    yield approved
    shutil.rmtree(folder)


def test_a_site_that_was_separated_is_as_both_accounts_need_it(separated: Home) -> None:
    assert closed_or_open(separated) == ()
    require_separate(separated)
    for path, mode in ((separated.key.parent, 0o750), (separated.folder / "ledger", 0o770)):
        before = path.stat().st_mode
        path.chmod(mode)
        assert closed_or_open(separated) == (path,)
        with pytest.raises(InputError):
            require_separate(separated)
        path.chmod(before)
    table = separated.folder / "clinical.csv"
    table.chmod(0o600)
    assert closed_or_open(separated) == (table,)


def test_a_gate_without_its_app_refuses(separated: Home, hospital: "Hospital") -> None:
    path = read_connection(separated).app_socket
    assert path is not None
    message = hospital.message("train", hospital.request().to_record())
    app = AppService(path)
    with pytest.raises(Refusal) as raised:
        app.ask(BoundedRequest(1, message, 1, 1, None))
    app.close()
    assert raised.value.code is RefusalCode.APP_UNAVAILABLE


def test_the_service_replaces_a_killed_one_and_ends_what_it_started(separated: Home) -> None:
    path = read_connection(separated).app_socket
    assert path is not None
    killed = socket.socket(socket.AF_UNIX)
    killed.bind(str(path))
    killed.close()
    stopping = threading.Event()
    before = os.umask(0o022)
    program = ("tests.client.runtime.faulty_app", "silent")
    service = threading.Thread(target=serve_app, args=(separated, path, program, stopping))
    service.start()
    try:
        until(lambda: _connects(path), "it does not listen")
        with pytest.raises(InputError):
            serve_app(separated, path, program, stopping)
        assert path.stat().st_mode & 0o777 == 0o660
        connection, uid = connect_to_app(path)
        assert uid == os.geteuid()
    finally:
        stopping.set()
        service.join()
        os.umask(before)
    with connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""
    assert not path.exists()


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as attempt:
        return attempt.connect_ex(str(path)) == 0
