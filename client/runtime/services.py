"""Services of `consilium site start`: SuperNode, and SuperExec for our launcher."""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event

from client.flower.route import environment_of, route_to
from client.privacy.kernels import KERNELS
from client.runtime import loopback
from client.runtime.local_port import require_free
from client.runtime.training_process import require_device
from client.site_folder.accounts import require_separate
from client.site_folder.approved_intake import require_approved_intake
from client.site_folder.keys import read_key
from client.site_folder.outside import state_folder
from client.site_folder.places import Connection, Home, read_approval, read_connection
from common.files import write_whole
from common.lifetime.leftovers import remove_unfinished
from common.processes.program import PROGRAM
from common.processes.supervision import Service, supervise
from common.processes.task_launcher import (
    LOOPBACK,
    TaskLauncher,
    flower_environment,
    require_stopped,
    stop_signals,
    superexec_command,
)

SUPERNODE, SUPEREXEC = "supernode", "superexec"


LIVENESS_S = 65.0
"""The coordinator refuses a node that comes back before its earlier self has been silent for 60 seconds."""


ALLOCATOR = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "68719476736"}
"""glibc keeps what training frees instead of giving it back to the system at every step."""


SYSTEM_PATH = os.pathsep.join(("/usr/local/bin", "/usr/bin", "/bin"))


ROOT_WARNING = "the site runs as root, and a fault in any of its packages would have the whole machine"


ROOT_REMEDY = "give the site folder to a user of its own, and run every command of the site as that user"


def runs_as_root() -> bool:
    """Whether this process has root's privileges."""
    return os.geteuid() == 0


def environment(home: Home) -> dict[str, str]:
    """Environment of the services beside that of `site start`, without any path of a person."""
    return {
        **flower_environment(home.state / "flower"),
        **ALLOCATOR,
        **KERNELS,
        "PATH": os.pathsep.join((str(home.launcher), SYSTEM_PATH)),
        "PYTHONPATH": "",
        "PYTHONSAFEPATH": "1",
    }


def services(home: Home) -> tuple[Service, ...]:
    """Prepare the site's two processes: their files are written to the state folder.

    Raises:
        InputError: if the site is not ready: no key, no coordinator, nothing approved, rules of intake that have
            changed since, a proxy that cannot be used.
    """
    connection = read_connection(home)
    read_key(home.key)
    require_approved_intake(home, read_approval(home))
    launcher = _task_launcher(home, connection)
    launcher.write()
    home.state.chmod(0o700 if connection.app_socket is None else 0o710)
    dialling = environment_of(route_to(connection, os.environ), os.environ)
    secret = home.state / "superexec.secret"
    write_whole(secret, secrets.token_hex(32).encode(), 0o600)
    (home.state / "flower").mkdir(mode=0o700, exist_ok=True)
    shared = ("--superexec-auth-secret-file", str(secret))
    pair = loopback.make(home)
    env, healthy = environment(home), partial(loopback.supernode_answers, home, connection.port)
    return (
        Service(
            SUPERNODE,
            _supernode(home, connection, pair, shared),
            {**env, **dialling},
            LIVENESS_S,
            healthy,
        ),
        Service(
            SUPEREXEC,
            superexec_command(connection.port, pair.certificate, secret),
            {**env, **launcher.environment()},
            2.0,
        ),
    )


def _supernode(
    home: Home, connection: Connection, pair: loopback.Pair, shared: tuple[str, ...]
) -> tuple[str, ...]:
    paths = {"site": home.folder, "federation": home.agreement}
    return (
        *(*PROGRAM, "client.flower.supernode", str(home.folder)),
        *("--superlink", connection.coordinator),
        *("--root-certificates", str(home.authority)),
        *("--auth-supernode-private-key", str(home.key)),
        *("--isolation", "process", "--host", LOOPBACK, "--port", str(connection.port)),
        *("--ssl-certfile", str(pair.certificate), "--ssl-keyfile", str(pair.key)),
        *("--ssl-ca-certfile", str(pair.certificate)),
        *("--node-config", " ".join(f'{name}="{path}"' for name, path in paths.items())),
        *shared,
    )


def _task_launcher(home: Home, connection: Connection) -> TaskLauncher:
    program = ("client.runtime.launcher", str(home.folder), str(connection.app_socket or ""))
    return TaskLauncher("flwr-clientapp", program, home.launcher, SYSTEM_PATH, "hospital")


def start(home: Home, run: Callable[[Sequence[Service], Path, Path, Event], None] = supervise) -> None:
    """Run the services until SIGTERM or SIGINT.

    Args:
        home: the site folder.
        run: supervisor of services, with a state file and a folder of logs, until an event is set.

    Raises:
        InputError: if the site is not ready, or runs already, or its local port is taken, or the device is not there
            that its `site.toml` asks for.
    """
    require_stopped(state_file(home), home.folder, "this site", "consilium site stop")
    require_separate(home)
    require_free(home)
    remove_unfinished_of(home)
    prepared = services(home)
    require_device(home.folder, inherited(home))
    run(prepared, state_file(home), home.logs, stop_signals())


def remove_unfinished_of(home: Home) -> None:
    """Remove what the site's killed processes left unfinished, perhaps with patients' values."""
    remove_unfinished(home.folder, frozenset({"flower", "logs"}))
    with suppress(OSError):  # there is no home folder
        remove_unfinished(state_folder())


def state_file(home: Home) -> Path:
    """Path of the supervisor's state file."""
    return home.state / "services.json"


def inherited(home: Home) -> Mapping[str, str]:
    """Environment of the app: that of this process, changed as for the services."""
    return {**os.environ, **environment(home)}
