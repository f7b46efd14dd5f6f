"""A coordinator and hospitals as they run: their commands as real processes, each ended with its group."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from client.site_folder import places as site_home
from client.site_folder.certificate import show_certificate
from client.site_folder.keys import read_key
from common.agreement.federation import FILE_NAME, load, save
from common.processes.program import PROGRAM
from server.home import places as coordinator_home

DEADLINE_S = 60
PATIENCE_S = 300
"""Seconds to wait for what takes several training processes."""
CONSILIUM = str(Path(sys.executable).with_name("consilium"))


def until(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait for a condition; `what` is told if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def consilium(*arguments: object, code: int = 0) -> str:
    """A command's output, standard error included."""
    command = [CONSILIUM, *map(str, arguments)]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert ended.returncode == code, ended.stdout
    return ended.stdout


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line, or environment, names this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            continue
        if os.fsencode(folder) + b"/" in told:
            found.append(int(entry.name))
    return found


@contextmanager
def process(*command: object, log: Path, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that leads a group, which is ended with it."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(started.pid, number)
                started.wait(DEADLINE_S)
        started.wait()


@contextmanager
def coordinator(folder: Path, *options: object) -> Iterator[coordinator_home.CoordinatorHome]:
    """A coordinator that is ready."""
    port = coordinator_home.free_port()
    consilium("coordinator", "init", folder, "--host", "localhost", "--port", port, *options)
    home = coordinator_home.open_home(folder)
    with ready(home):
        yield home
    assert processes_of(folder) == []


@contextmanager
def ready(home: coordinator_home.CoordinatorHome) -> Iterator[None]:
    """Run a coordinator until it is stopped, unless it was killed."""
    log = home.folder.parent / f"{home.folder.name}.log"
    with process(CONSILIUM, "coordinator", "start", home.folder, log=log) as started:
        until(lambda: b"Ready after" in log.read_bytes() or started.poll() is not None, "it is not ready")
        assert started.poll() is None, log.read_text()
        yield
        if started.poll() is None:
            assert consilium("coordinator", "stop", home.folder).strip() == "Stopped."
        assert started.wait(DEADLINE_S) in (0, -signal.SIGKILL)


def ask(
    home: coordinator_home.CoordinatorHome,
    method: str,
    path: str,
    body: bytes = b"",
    port: int | None = None,
    headers: Mapping[str, str] | None = None,
    key: Path | None = None,
) -> int:
    """The status of a request at the coordinator's address or another port of it, its path sent as it is.

    With a node key the request shows its certificate.
    """
    context = ssl.create_default_context(cafile=str(home.authority))
    if key is not None:
        show_certificate(context, read_key(key))
    port = home.settings().port if port is None else port
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/protobuf", **(headers or {})})
        return connection.getresponse().status
    finally:
        connection.close()


def write_key(path: Path) -> Path:
    """A node's key pair as a hospital makes it; the path of the public one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP384R1())
    ssh = serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, ssh, serialization.NoEncryption()))
    public = path.with_suffix(".pub")
    openssh = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public.write_bytes(key.public_key().public_bytes(*openssh))
    return public


def flower(name: str) -> str:
    """One of Flower's own commands."""
    return str(Path(sys.executable).with_name(name))


FLOWERS_OWN = """\
#!/bin/sh
read token
for each do shift; [ "$each" = --token-stdin ] || set -- "$@" "$each"; done
exec {theirs} --token "$token" "$@"
"""
"""Flower's `flwr-serverapp`, which takes no token from standard input."""


@contextmanager
def running_any_bundle(home: coordinator_home.CoordinatorHome) -> Iterator[None]:
    """A coordinator that runs whatever it is handed, as Flower does: ours would stop before a hospital is asked."""
    launcher = home.launcher / "flwr-serverapp"
    kept = launcher.read_bytes()
    launcher.write_text(FLOWERS_OWN.format(theirs=shlex.quote(flower("flwr-serverapp"))))
    yield
    launcher.write_bytes(kept)


def supernode(
    home: coordinator_home.CoordinatorHome, site: site_home.Home, *more: object
) -> tuple[object, ...]:
    """The command of a bare SuperNode that dials a coordinator with a site's key, whose folder is told where."""
    dialled = site_home.Connection(coordinator=f"localhost:{home.settings().port}")
    site.connection.write_text(dialled.model_dump_json())
    return (
        *(*PROGRAM, "client.flower.supernode", site.folder, "--root-certificates", home.authority),
        *("--superlink", f"localhost:{home.settings().port}", "--auth-supernode-private-key", site.key),
        *(
            "--host",
            "127.0.0.1",
            "--port",
            coordinator_home.free_port(),
            *(more or ("--isolation", "process")),
        ),
    )


def lay_out(written: Path, root: Path, folders: Mapping[int, str], rounds: int, **settings: str) -> Path:
    """The federation of some of a written cohort's hospitals in `root/cohort`, each one's tables in its own folder.

    Their policy allows as many runs as a test starts.
    """
    cohort = root / "cohort"
    shutil.copytree(written, cohort)
    for number, name in folders.items():
        (cohort / f"hospital-{number}").rename(root / name)
        with (root / name / "site.toml").open("a") as file:
            file.write("\n[policy]\nmaximum_runs = 9\n")
    changed = {name.replace("__", "."): value for name, value in settings.items()}
    federation = load(cohort / FILE_NAME).changed(
        {"training.rounds": str(rounds), "training.linear_rounds": "0", **changed}
    )
    names = {f"hospital {number}" for number in folders}
    kept = tuple(one for one in federation.participants if one.name in names)
    save(federation.model_copy(update={"participants": kept}), cohort / FILE_NAME)
    return cohort


def join(
    home: coordinator_home.CoordinatorHome,
    name: str,
    folder: Path,
    enrolled: str = "",
    port: int | None = None,
) -> site_home.Home:
    """A hospital with its tables in `folder` that is enrolled and has approved the federation.

    Args:
        home: the coordinator's.
        name: in the hospital's own site file.
        folder: the site folder.
        enrolled: the name its key is enrolled under, if that is another.
        port: that it dials, if not the coordinator's own.
    """
    site = site_home.Home(folder)
    address = f"localhost:{home.settings().port if port is None else port}"
    consilium("site", "init", folder, "--name", name, "--coordinator", address, "--ca", home.authority)
    connection = site_home.read_connection(site).model_copy(update={"port": coordinator_home.free_port()})
    site.connection.write_text(connection.model_dump_json())
    consilium("coordinator", "enrol", home.folder, enrolled or name, site.public_key)
    assert "Approved" in consilium("site", "approve", folder, home.agreement, "--yes")
    return site


@contextmanager
def taking_part(
    site: site_home.Home, user: Path, tracer: Sequence[object] = ()
) -> Iterator["subprocess.Popen[bytes]"]:
    """`site start`, with a user's folder of its own, until it is stopped; given when the coordinator knows the node.

    What it prints lies in `user/output`.
    """
    (user / "output").mkdir(parents=True)
    # the state folder is that in which the hospital approved; a simulation in this process has made the log quieter
    env = {"HOME": str(user), "OMP_NUM_THREADS": "1", "FLWR_LOG_LEVEL": "INFO"}
    command, log = (*tracer, CONSILIUM, "site", "start", site.folder), user / "output" / "start.log"
    with process(*command, log=log, **env) as started:
        until(lambda: connects(site) or started.poll() is not None, "it is not connected")
        assert started.poll() is None, log.read_text()
        yield started


def connects(site: site_home.Home) -> bool:
    """Whether the SuperNode has told its log which node it is, as it does when the coordinator has let it in."""
    log = site.logs / "supernode.log"
    return log.is_file() and b"SuperNode ID" in log.read_bytes()


def stop(site: site_home.Home, started: "subprocess.Popen[bytes]") -> int:
    """`site stop`; how `site start` exited."""
    assert consilium("site", "stop", site.folder).strip() == "Stopped."
    return started.wait(PATIENCE_S)


def status(site: site_home.Home) -> dict[str, Any]:
    """Output of `site status`."""
    told: dict[str, Any] = json.loads(consilium("site", "status", site.folder, "--json"))
    return told


def receipts(site: site_home.Home) -> list[dict[str, Any]]:
    """Receipts, as the hospital prints them."""
    told: list[dict[str, Any]] = json.loads(consilium("site", "receipts", site.folder, "--json"))
    return told


def connected(home: coordinator_home.CoordinatorHome) -> set[str]:
    """Names of the hospitals that are connected."""
    sites = json.loads(consilium("coordinator", "status", home.folder, "--json"))["sites"]
    return {site["name"] for site in sites if site["connected"]}


def without_folds(site: Path, *more: str) -> None:
    """Take the simulation's folds out of a site file, with which no policy goes, and add lines to its end."""
    file = site / "site.toml"
    file.write_text("\n".join([re.sub(r"(?m)^fold = .*\n", "", file.read_text()), *more]))
