"""`consilium site start`: a SuperNode that dials the coordinator, and a SuperExec that can start our launcher alone.

A SuperExec starts whatever kind of task it is handed, by the name of a command on its PATH. Its PATH begins with a
folder in which `flwr-clientapp` is our launcher, and every other command of that kind one that refuses.
"""

import os
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from client.flower.internals import OTHER_COMMANDS, QUIET
from client.runtime import loopback
from client.runtime.local_port import LOOPBACK, require_free
from client.runtime.training_process import require_device
from client.site_folder.keys import read_key
from client.site_folder.places import Connection, Home, read_approval, read_connection
from common.errors import InputError
from common.files import write_whole
from common.processes.supervision import Service, end_leftovers, supervise
from common.processes.supervision_state import read_state

SUPERNODE, SUPEREXEC = "supernode", "superexec"


LIVENESS_S = 65.0
"""The coordinator refuses a node that comes back before its earlier self has been silent for 60 seconds."""


ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "68719476736"}
"""glibc keeps what training frees instead of giving it back to the system at every step."""


def environment(home: Home) -> dict[str, str]:
    """What the services add to the environment of `site start`: nothing of Flower's own home, and no telephone."""
    direct = [*filter(None, os.environ.get("NO_PROXY", "").split(",")), LOOPBACK, "localhost"]
    path = [str(home.launcher), "/usr/local/bin", "/usr/bin", "/bin"]
    return {
        **QUIET,
        **ALLOCATOR,
        "FLWR_HOME": str(home.state / "flower"),
        "NO_PROXY": ",".join(direct),
        "no_proxy": ",".join(direct),
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": "",
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
    }


def services(home: Home) -> tuple[Service, ...]:
    """The site's two processes, with all that they need written to the state folder.

    Raises:
        InputError: if the site is not ready: no key, no coordinator, nothing approved.
    """
    connection = read_connection(home)
    read_key(home.key)
    read_approval(home)
    _write_commands(home)
    secret = home.state / "superexec.secret"
    write_whole(secret, secrets.token_hex(32).encode(), 0o600)
    (home.state / "flower").mkdir(exist_ok=True)
    shared = ("--superexec-auth-secret-file", str(secret))
    pair = loopback.make(home)
    env, healthy = environment(home), partial(loopback.answers, home, connection.port)
    return (
        Service(SUPERNODE, _supernode(home, connection, pair, shared), env, LIVENESS_S, healthy),
        Service(SUPEREXEC, _superexec(connection, pair, shared), env, 2.0),
    )


def _supernode(
    home: Home, connection: Connection, pair: loopback.Pair, shared: tuple[str, ...]
) -> tuple[str, ...]:
    places = {"site": home.folder, "federation": home.agreement}
    return (
        *(sys.executable, "-P", "-m", "consilium.program", "client.flower.supernode"),
        *("--superlink", connection.coordinator),
        *("--root-certificates", str(home.authority)),
        *("--auth-supernode-private-key", str(home.key)),
        *("--isolation", "process", "--host", LOOPBACK, "--port", str(connection.port)),
        *("--ssl-certfile", str(pair.certificate), "--ssl-keyfile", str(pair.key)),
        *("--ssl-ca-certfile", str(pair.certificate)),
        *("--node-config", " ".join(f'{name}="{place}"' for name, place in places.items())),
        *shared,
    )


def _superexec(connection: Connection, pair: loopback.Pair, shared: tuple[str, ...]) -> tuple[str, ...]:
    address = ("--runtime-api-address", f"{LOOPBACK}:{connection.port}")
    trusted = ("--root-certificates", str(pair.certificate))
    return (
        sys.executable,
        "-P",
        "-m",
        "consilium.program",
        "common.processes.superexec",
        *address,
        *trusted,
        *shared,
    )


def _write_commands(home: Home) -> None:
    """Our launcher under the name of Flower's, and a refusal under the names of the others."""
    home.launcher.mkdir(parents=True, exist_ok=True)
    home.state.chmod(0o700)
    ours = shlex.join(
        [sys.executable, "-P", "-m", "consilium.program", "client.runtime.launcher", str(home.folder)]
    )
    write_whole(home.launcher / "flwr-clientapp", f'#!/bin/sh\nexec {ours} "$@"\n'.encode(), 0o755)
    refusing = b"#!/bin/sh\necho 'this hospital runs no such task' >&2\nexit 1\n"
    for name in OTHER_COMMANDS:
        write_whole(home.launcher / name, refusing, 0o755)


def start(home: Home) -> None:
    """Run the services until SIGTERM or SIGINT.

    Raises:
        InputError: if the site is not ready, or runs already, or its local port is taken, or the device is not there
            that its `site.toml` asks for.
    """
    if (running := read_state(state_file(home))) is not None:
        what = f"this site runs already, as process {running.pid}"
        raise InputError(str(home.folder), what, "end it by `consilium site stop`")
    end_leftovers(state_file(home))  # they hold the port
    require_free(home)
    prepared = services(home)
    require_device(home.folder, inherited(home))
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    supervise(prepared, state_file(home), home.logs, stopping)


def state_file(home: Home) -> Path:
    """What the supervisor writes of its services."""
    return home.state / "services.json"


def inherited(home: Home) -> Mapping[str, str]:
    """The environment in which the app will run: that of this process, changed as for the services."""
    return {**os.environ, **environment(home)}
