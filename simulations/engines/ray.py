"""Flower's simulation, whose sites are Ray actors, with the same two apps.

Ray's ports have no authentication, and whoever reaches one runs code as the user who started it. The Ray that is
started here stays on the loopback interface. A cluster is for a researcher's own machines and for public or
de-identified data: never between hospitals.
"""

import logging
import os
import re
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from flwr.app import Context, Message, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from client.site_folder.outside import STATE_VARIABLE
from common.errors import OptionError, UnreachableError
from common.extras import require_extra
from simulations.engines.flower_internals import Run, load_client_app, run_on_ray, silence
from simulations.engines.node import NodeConfig, answer
from simulations.engines.process_pool import ONE_THREAD

_LOOPBACK, _LAST_PORT, _PATIENCE_S = "127.0.0.1", 65535, 10.0


_ADDRESS = re.compile(r"[^\s/:@]+:[0-9]{1,5}")


_PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # On every system, despite its name; otherwise Ray's open ports face the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}


# A site's device is the site's choice, as on the other engines.
_DEVICES = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class _SiteApp(ClientApp):
    """ClientApp of an actor, with its site's configuration in place of a partition number."""

    def __init__(self, client_app: str, nodes: Sequence[NodeConfig], run_config: UserConfig) -> None:
        super().__init__()
        self._reference = client_app
        self._nodes = [dict(node) for node in nodes]
        self._run_config = run_config

    def __call__(self, message: Message, context: Context) -> Message:
        silence()
        node_config = self._nodes[int(context.node_config["partition-id"])]
        site = Context(context.run_id, context.node_id, node_config, context.state, dict(self._run_config))
        reply = answer(load_client_app(self._reference), message, site)
        context.state = site.state
        return reply


def run_on_ray_workers(
    server_app: ServerApp,
    client_app: str,
    nodes: Sequence[NodeConfig],
    run: Run,
    workers: int,
    address: str | None = None,
) -> None:
    """Run a federation on Ray actors of one core each.

    Without an address there are `workers` actors of a private Ray on the loopback interface, which ends with the run.
    With an address there are as many actors as the cluster has cores, and the cluster goes on: its machines must see
    the sites' folders under the same paths, and have the same packages.

    Raises:
        InputError: if Ray is not installed, or no cluster of the same versions answers.
    """
    require_extra("ray", "--engine ray")
    if address is None:
        _start(workers)
    else:
        _join(address)
    import ray

    failures: list[BaseException] = []
    try:
        run_on_ray(
            _attended(server_app, len(nodes), failures),
            _SiteApp(client_app, nodes, run.override_config),
            len(nodes),
            run,
        )
    finally:
        ray.shutdown()  # of a cluster that was joined: leave it
    if failures:
        raise failures[0]


def _start(workers: int) -> None:
    """Start a private Ray."""
    os.environ.update({**_PRIVATE, **_DEVICES})
    import ray

    _stay_on_loopback(True)
    ray.init(
        address="local",
        num_cpus=workers,
        num_gpus=0,
        include_dashboard=False,
        logging_level=logging.WARNING,
        log_to_driver=False,
        runtime_env=_actors(),
        _node_ip_address=_LOOPBACK,
    )


def _join(address: str) -> None:
    """Connect to a cluster.

    Raises:
        InputError: if no cluster of the same versions answers.
    """
    where, remedy = f"--ray-address {address}", "start one with `ray start --head`, or correct the address"
    host, _, port = address.rpartition(":")
    if not _ADDRESS.fullmatch(address) or int(port) > _LAST_PORT:
        raise OptionError(where, "is not HOST:PORT", remedy)
    try:  # where nobody listens, Ray tries for ten minutes
        socket.create_connection((host, int(port)), _PATIENCE_S).close()
    except OSError:
        raise UnreachableError(where, "nobody answers there", remedy) from None
    os.environ.update(_DEVICES)  # here Ray only asks whether to warn of it
    import ray

    _stay_on_loopback(host in (_LOOPBACK, "localhost"))
    try:
        ray.init(
            address=address,
            logging_level=logging.WARNING,
            log_to_driver=False,
            runtime_env=_actors(),
        )
    except (ConnectionError, ValueError):
        raise UnreachableError(where, "what answers there is no Ray cluster", remedy) from None
    except RuntimeError as error:
        if "mismatch" not in str(error):
            raise
        what = "the cluster has another version of Ray or Python"
        raise UnreachableError(where, what, "install the same ones on all its machines") from None


def _stay_on_loopback(stay: bool) -> None:
    """Have Ray take 127.0.0.1 for itself, or for this machine's address in its network."""
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = not stay


def _actors() -> dict[str, Any]:
    """Environment of an actor, and the first call in its process, which pins our packages."""
    return {"env_vars": _environment(), "worker_process_setup_hook": "consilium.packages.pin"}


def _environment() -> dict[str, str]:
    """Variables that an actor would not get from another machine or Ray's daemon."""
    state = {name: os.environ[name] for name in (STATE_VARIABLE,) if name in os.environ}
    return {"PYTHONPATH": os.pathsep.join(sys.path), **ONE_THREAD, **_DEVICES, **state}


def _attended(server_app: ServerApp, sites: int, failures: list[BaseException]) -> ServerApp:
    """Wrap the ServerApp: start it when all sites are there, and keep its exception.

    Flower starts it before the sites are registered, delays its exception, and may drop it.
    """
    attended = ServerApp()

    @attended.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            while len(list(grid.get_node_ids())) < sites:
                time.sleep(0.05)
            server_app(grid=grid, context=context)
        except BaseException as error:
            failures.append(error)

    return attended
