"""Federation on one machine: the two unchanged apps on one of three engines.

`serial` calls the sites in turn in this process, `processes` spreads them over worker processes,
and `ray` is Flower's own simulation. The ServerApp runs in this process on every engine, and its exceptions
reach the caller.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count

from flwr.app import Context, Message, RecordDict, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from simulations.engines import ray as ray_engine
from simulations.engines.flower_internals import (
    Failure,
    Run,
    acting_as_coordinator,
    deflate,
    detached,
    error_reply,
    inflate,
    load_client_app,
    name_message,
    new_run,
    server_context,
    silence,
)
from simulations.engines.names import Engine
from simulations.engines.node import NodeConfig, answer, contexts
from simulations.engines.process_pool import ProcessPool, available_cores

Deliver = Callable[[Sequence[Message]], Iterator[Message]]
"""Function that delivers messages to their sites, and yields the replies in the order of arrival."""


def run_in_process(
    server_app: ServerApp,
    client_app: str,
    nodes: Sequence[NodeConfig],
    run_config: UserConfig,
    engine: Engine = "serial",
    serialise: bool = False,
    workers: int | None = None,
    ray_address: str | None = None,
    run_id: int | None = None,
) -> None:
    """Run a whole federation on this machine.

    Args:
        server_app: coordinator's app, which runs in this process.
        client_app: `module:attribute` of the ClientApp, importable here and in a fresh process.
        nodes: the node configuration of each site.
        run_config: the run configuration both apps see.
        engine: engine on which the sites run.
        serialise: have every message of the serial engine cross Flower's wire format; the other engines
            serialise in any case.
        workers: number of processes of the other engines; by default one per core, and never more than sites.
        ray_address: HOST:PORT of a Ray cluster that is running, whose cores count in place of `workers`.
        run_id: of Flower's run, 1 or more; the same for a run that is resumed, and drawn when not given.

    Raises:
        InputError: if Ray is asked for and not installed, or no cluster answers.
        ImportError, TypeError: if `client_app` names no ClientApp.
        ValueError: if there are no nodes.
    """
    silence()
    app = load_client_app(client_app)
    if not nodes:
        raise ValueError("a federation needs at least one node")
    run = new_run(run_config, run_id)
    workers = min(workers or available_cores(), len(nodes))
    if engine == "ray":
        ray_engine.run_on_ray_workers(server_app, client_app, nodes, run, workers, ray_address)
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
    """Delivery of messages one after another."""

    def __init__(self, app: ClientApp, sites: dict[int, Context], serialise: bool) -> None:
        self._app, self._sites = app, sites
        self._carry = (lambda message: inflate(deflate(message))) if serialise else detached

    def __call__(self, messages: Sequence[Message]) -> Iterator[Message]:
        return map(self._deliver, messages)

    def _deliver(self, message: Message) -> Message:
        return self._carry(answer(self._app, self._carry(message), self._sites[message.metadata.dst_node_id]))


class InProcessGrid(Grid):
    """Grid whose messages are answered while their replies are pulled.

    So only few replies are in memory at a time.

    Deadlines are accepted and do not apply: every message runs to completion. A client gets copies of the
    records it is sent, and the server copies of the replies, so neither can change what the other holds.
    """

    def __init__(self, run: Run, node_ids: Sequence[int], deliver: Deliver) -> None:
        self._run, self._node_ids, self._deliver = run, dict.fromkeys(node_ids), deliver
        self._numbers = count(1)
        self._coming: deque[Iterator[Message]] = deque()
        self._due: set[str] = set()
        self._replies: dict[str, Message] = {}

    def set_run(self, run: Run) -> None:
        """Replace the run."""
        self._run = run

    @property
    def run(self) -> Run:
        """Run that this grid serves."""
        return self._run

    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        """Make a message; the same as calling `Message`."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> list[int]:
        """Ids of all sites, in the order of the run's nodes."""
        return list(self._node_ids)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Take messages to be answered, and return their ids."""
        sent = []
        for message in messages:
            name_message(message, str(next(self._numbers)))
            sent.append(message)
        deliverable = [message for message in sent if message.metadata.dst_node_id in self._node_ids]
        undeliverable = [message for message in sent if message.metadata.dst_node_id not in self._node_ids]
        self._due.update(message.metadata.message_id for message in sent)
        self._coming.append(error_reply(message, Failure.NO_SUCH_NODE) for message in undeliverable)
        self._coming.append(self._deliver(deliverable))
        return [message.metadata.message_id for message in sent]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return some replies to these messages that were not pulled before; none if all were.

        Replies are in the order of the messages.
        """
        asked = [key for key in dict.fromkeys(message_ids) if key in self._due]
        while asked and not self._replies.keys() & asked:
            reply = next(self._coming[0], None)
            if reply is None:
                self._coming.popleft()
                continue
            name_message(reply, f"{reply.metadata.reply_to_message_id}-reply")
            self._replies[reply.metadata.reply_to_message_id] = reply
        ready = [key for key in asked if key in self._replies]
        self._due.difference_update(ready)
        return [self._replies.pop(key) for key in ready]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Push messages and return their replies in the same order, however long that takes."""
        ids = self.push_messages(messages)
        replies: dict[str, Message] = {}
        while pulled := self.pull_messages(ids):
            replies.update((reply.metadata.reply_to_message_id, reply) for reply in pulled)
        return [replies[key] for key in ids]
