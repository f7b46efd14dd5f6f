"""The coordinator's processes: a SuperLink, the SuperExec that runs its work, and nginx.

The SuperLink keeps its state in a database and leaves the work to another process, so that a run outlives its end.
"""

import os
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import tomli_w

from common.errors import InvalidContentError, MachineError, StateError
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
from server.home.certificates import read_certificate
from server.home.places import HOME_VARIABLE, SETTINGS, CoordinatorHome, speaks_ipv6, write_proxy
from server.services.door import PROXY, write_trusted
from server.services.launcher import COMMAND

CONNECTION = "coordinator"
"""Flower's name for this SuperLink."""


SUPERLINK, SUPEREXEC, TRACKER = "superlink", "superexec", "tracker"


_SYSTEM = ("/usr/sbin", "/usr/local/sbin")  # where nginx is, on the path of nobody but root


def environment(home: CoordinatorHome) -> dict[str, str]:
    """Environment that Flower's processes have beside that of this process."""
    scripts = str(Path(sys.executable).parent)  # beside the interpreter, also where PATH does not lead there
    return {
        **flower_environment(home.flower),
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)]),
    }


def script(name: str) -> str:
    """A command that was installed with this interpreter."""
    return str(Path(sys.executable).with_name(name))


def start(home: CoordinatorHome, ready: Callable[[], None]) -> None:
    """Run the services until SIGTERM or SIGINT; call `ready` once the coordinator answers.

    Raises:
        InputError: if it runs already, a port is taken, or nginx is missing or rejects its configuration.
    """
    settings = home.settings()
    require_stopped(home.services, home.folder, "this coordinator", "consilium coordinator stop")
    everywhere = ("0.0.0.0", "::") if speaks_ipv6() else ("0.0.0.0",)
    wanted = [("port", host, settings.port) for host in everywhere]
    for key, host, port in (*wanted, ("internal_port", LOOPBACK, settings.internal_port)):
        if _taken(host, port):
            raise MachineError(
                f"{home.folder / SETTINGS}, {key}",
                f"port {port} is in use",
                "end what uses it or change the port",
            )
    remove_unfinished(home.folder, frozenset({home.flower.name, home.logs.name}))
    services = prepare(home)
    stopping = stop_signals()
    announcer = threading.Thread(target=_announce, args=(home, ready, stopping), daemon=True)
    announcer.start()
    supervise(services, home.services, home.logs, stopping)


def prepare(home: CoordinatorHome) -> tuple[Service, ...]:
    """Write what the services read, and describe them.

    Raises:
        InputError: if the certificate has ended, or nginx is missing or rejects its configuration.
    """
    settings = home.settings()
    _require_valid(home)
    connection = {"address": f"{LOOPBACK}:{settings.internal_port}", "root-certificates": str(home.authority)}
    flower = {"superlink": {"default": CONNECTION, CONNECTION: connection}}
    home.flower.mkdir(parents=True, exist_ok=True)
    write_whole(home.flower / "config.toml", tomli_w.dumps(flower).encode())
    env = environment(home)
    superlink = (
        *(*PROGRAM, "server.services.intake", "--host", LOOPBACK, "--port", str(settings.internal_port)),
        *("--ssl-ca-certfile", str(home.authority)),
        *("--ssl-certfile", str(home.certificate), "--ssl-keyfile", str(home.certificate)),
        *("--enable-supernode-auth", "--isolation", "process", "--disable-runtime-dependency-installation"),
        *("--database", str(home.database), "--superexec-auth-secret-file", str(home.superexec_secret)),
    )
    launcher = TaskLauncher(COMMAND, ("server.services.launcher",), home.launcher, os.defpath, "coordinator")
    launcher.write()
    superexec = superexec_command(settings.internal_port, home.authority, home.superexec_secret)
    launching = {**env, **launcher.environment(), HOME_VARIABLE: str(home.folder)}
    tracker = Service(TRACKER, (*PROGRAM, "server.tracking.service", str(home.folder)), env, 5.0)
    return (
        Service(
            SUPERLINK,
            superlink,
            {**env, HOME_VARIABLE: str(home.folder)},
            1.0,
            lambda: is_healthy(home, settings.internal_port),
        ),
        Service(SUPEREXEC, superexec, launching, 1.0),
        Service(PROXY, _nginx(home, env), env, 1.0),
        *((tracker,) if settings.tracking is not None else ()),
    )


def is_healthy(home: CoordinatorHome, port: int) -> bool:
    """Whether the coordinator's health is well on this port of the loopback interface."""
    try:
        with direct(home).open(f"https://{LOOPBACK}:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:  # nobody listens, or what listens is not this coordinator
        return False


def direct(home: CoordinatorHome) -> urllib.request.OpenerDirector:
    """Opener of the coordinator's addresses, without a proxy, that trusts its authority alone."""
    context = ssl.create_default_context(cafile=str(home.authority))
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )


def _require_valid(home: CoordinatorHome) -> None:
    renew = f"make a new one by `consilium coordinator renew {shlex.quote(str(home.folder))}`"
    until = read_certificate(home.certificate, renew).not_valid_after_utc
    if until <= datetime.now(UTC):
        raise StateError(str(home.certificate), f"its certificate ended on {until.date()}", renew)


def _nginx(home: CoordinatorHome, env: Mapping[str, str]) -> tuple[str, ...]:
    nginx = shutil.which("nginx", path=os.pathsep.join([env["PATH"], *_SYSTEM]))
    if nginx is None:
        raise MachineError(
            "nginx", "is not installed", "install it, for instance by `apt-get install nginx-light`"
        )
    home.proxy.mkdir(parents=True, exist_ok=True)
    path = write_proxy(home, home.settings())
    write_trusted(home)
    command = (nginx, "-p", str(home.proxy), "-c", str(path), "-e", "stderr")
    tested = subprocess.run((*command, "-t", "-q"), capture_output=True, text=True, check=False)
    if tested.returncode:
        reason = tested.stderr.strip().splitlines()[0] if tested.stderr.strip() else "no reason given"
        raise InvalidContentError(
            str(path), f"nginx rejects it ({reason})", f"correct {home.folder / SETTINGS}"
        )
    return command


def _taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listener.bind((host, port))
        except PermissionError:  # a port below 1024: nginx says so itself
            return False
        except OSError:
            return True
    return False


def _announce(home: CoordinatorHome, ready: Callable[[], None], stopping: threading.Event) -> None:
    settings = home.settings()
    waiting = [
        settings.internal_port,
        settings.port,
    ]  # in this order, or the proxy would log what it cannot reach
    while not stopping.wait(0.2):
        if is_healthy(home, waiting[0]):
            waiting.pop(0)
        if not waiting:
            ready()
            return
