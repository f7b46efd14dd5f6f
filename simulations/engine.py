"""Many hospitals on one machine: the two apps of a real federation, unchanged, on one of three engines.

`serial` calls the sites one after another in this process, `processes` spreads them over worker processes,
and `ray` is Flower's own simulation. The ServerApp runs in this process on every engine, and its exceptions
reach the caller.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Literal

from flwr.app import Context, Message, RecordDict, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from simulations import ray_engine
from simulations.flower_internals import (
    Failure,
    Run,
    acting_as_coordinator,
    detached,
    failed,
    load_client_app,
    name_message,
    new_run,
    pack,
    server_context,
    silence,
    unpack,
)
from simulations.node import NodeConfig, answer, contexts
from simulations.process_pool import ProcessPool, available_cores

Engine = Literal["serial", "processes", "ray"]
Deliver = Callable[[Sequence[Message]], list[Message]]
"""Takes messages to their sites and brings the replies, in the order of the messages."""


def run_federation(
    server_app: ServerApp,
    client_app: str,
    nodes: Sequence[NodeConfig],
    run_config: UserConfig,
    engine: Engine = "serial",
    serialise: bool = False,
    workers: int | None = None,
) -> None:
    """Run a whole federation on this machine.

    Args:
        server_app: runs in this process.
        client_app: `module:attribute` of the ClientApp, importable here and in a fresh process.
        nodes: the node configuration of each site.
        run_config: the run configuration both apps see.
        engine: where the sites run.
        serialise: have every message of the serial engine cross Flower's wire format; the other engines
            serialise in any case.
        workers: processes of the other engines; one per core when not given, never more than sites.

    Raises:
        InputError: if Ray is asked for and not installed.
        ImportError, TypeError: if `client_app` names no ClientApp.
        ValueError: if there are no nodes.
    """
    silence()
    app = load_client_app(client_app)
    if not nodes:
        raise ValueError("a federation needs at least one node")
    run = new_run(run_config)
    workers = min(workers or available_cores(), len(nodes))
    if engine == "ray":
        ray_engine.run_on_ray_workers(server_app, client_app, nodes, run, workers)
        return
    sites = contexts(nodes, run_config, run)
    if engine == "serial":
        _serve(server_app, run, InProcessGrid(run, list(sites), _Serial(app, sites, serialise)))
        return
    with ProcessPool(client_app, sites, workers) as pool:
        _serve(server_app, run, InProcessGrid(run, list(sites), pool))


def _serve(server_app: ServerApp, run: Run, grid: Grid) -> None:
    with acting_as_coordinator(run):
        server_app(grid=grid, context=server_context(run))


class _Serial:
    """Delivers messages one after another."""

    def __init__(self, app: ClientApp, sites: dict[int, Context], serialise: bool) -> None:
        self._app, self._sites = app, sites
        self._carry = (lambda message: unpack(pack(message))) if serialise else detached

    def __call__(self, messages: Sequence[Message]) -> list[Message]:
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> Message:
        return self._carry(answer(self._app, self._carry(message), self._sites[message.metadata.dst_node_id]))


class InProcessGrid(Grid):
    """A Grid whose messages are answered while they are pushed.

    Deadlines are accepted and do not apply: every message runs to completion. A client gets copies of the
    records it is sent, and the server copies of the replies, so neither can change what the other holds.
    """

    def __init__(self, run: Run, node_ids: Sequence[int], deliver: Deliver) -> None:
        self._run, self._node_ids, self._deliver = run, node_ids, deliver
        self._numbers = count(1)
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Replace the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """The run this grid serves."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """A new message; the same as calling `Message`."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """All sites, in the order they were given."""
        return list(self._node_ids)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Have every message answered, and return their ids."""
        sent = []
        for message in messages:
            name_message(message, str(next(self._numbers)))
            sent.append(message)
        known = [message for message in sent if message.metadata.dst_node_id in self._node_ids]
        unknown = [message for message in sent if message.metadata.dst_node_id not in self._node_ids]
        for reply in [*self._deliver(known), *(failed(message, Failure.NO_SUCH_NODE) for message in unknown)]:
            name_message(reply, f"{reply.metadata.reply_to_message_id}-reply")
            self._replies[reply.metadata.reply_to_message_id] = reply
        return [message.metadata.message_id for message in sent]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies to these messages, once each, in this order."""
        return [self._replies.pop(key) for key in message_ids if key in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return their replies in the same order, however long that takes."""
        return self.pull_messages(self.push_messages(messages))
