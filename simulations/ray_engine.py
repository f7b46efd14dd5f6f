"""The same two apps on Flower's own simulation, whose sites are Ray actors."""

import importlib.util
import logging
import os
import sys
import time
from collections.abc import Sequence

from flwr.app import Context, Message, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from common.errors import InputError
from simulations.flower_internals import Run, load_client_app, run_on_ray, silence
from simulations.node import NodeConfig, answer

_PRIVATE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # On every system, despite its name; otherwise Ray's open ports face the network.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # A site's device is the site's choice, as on the other engines.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class _SiteApp(ClientApp):
    """The ClientApp as an actor runs it: given its site's configuration in place of a partition number."""

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
    server_app: ServerApp, client_app: str, nodes: Sequence[NodeConfig], run: Run, workers: int
) -> None:
    """Run a federation on a private Ray on the loopback interface, with `workers` actors of one core each.

    Raises:
        InputError: if Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("--engine ray", "Ray is not installed", 'install "consilium[ray]"')
    os.environ.update(_PRIVATE)
    import ray
    from ray._private import ray_constants

    ray_constants.ENABLE_RAY_CLUSTER = False  # for a process that had imported Ray before
    failures: list[BaseException] = []
    # Flower starts its server thread before Ray: were Ray to fail then, that thread would wait for ever.
    ray.init(
        address="local",
        num_cpus=workers,
        num_gpus=0,
        include_dashboard=False,
        logging_level=logging.WARNING,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
        _node_ip_address="127.0.0.1",
    )
    try:
        run_on_ray(
            _attended(server_app, len(nodes), failures),
            _SiteApp(client_app, nodes, run.override_config),
            len(nodes),
            run,
        )
    finally:
        ray.shutdown()
    if failures:
        raise failures[0]


def _attended(server_app: ServerApp, sites: int, failures: list[BaseException]) -> ServerApp:
    """The ServerApp, started when all sites are there, and its exception kept for the caller.

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
