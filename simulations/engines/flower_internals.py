"""Parts of Flower that its API does not promise to keep, used in this module alone.

Written against flwr 1.41. The contract test of the engines compares them with Flower's own simulation.
"""

import copy
import importlib
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from flwr.app import Array, ArrayRecord, Context, Error, Message, RecordDict, UserConfig
from flwr.app.message import make_message
from flwr.clientapp import ClientApp
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.serverapp import ServerApp
from flwr.supercore import telemetry
from flwr.supercore.constant import NOOP_FEDERATION_ID
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, no_object_id_recompute
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.run import Run as Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.supercore.telemetry import EventType

from common.processes.quiet import QUIET

Parcel = tuple[str, str, dict[str, bytes]]
"""A message on the wire: message id, id of its root object, and the content of every object by its id."""


class Failure(IntEnum):
    """Flower's codes for a message without a proper answer."""

    RAISED = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    NO_SUCH_NODE = ErrorCode.NODE_UNAVAILABLE
    CRASHED = ErrorCode.CLIENT_APP_CRASHED


def first_node_id() -> int:
    """Smallest node id that is not the coordinator's."""
    return SUPERLINK_NODE_ID + 1


def silence() -> None:
    """Turn Flower's telemetry and update check off, and its log below warnings.

    FLWR_LOG_LEVEL may ask for another log level.
    """
    os.environ.update(QUIET)
    telemetry.FLWR_TELEMETRY_ENABLED = "0"  # Flower reads its environment once, when it is imported
    level = os.environ.setdefault("FLWR_LOG_LEVEL", "WARNING")
    logging.getLogger("flwr").setLevel(level.upper())


def load_client_app(reference: str) -> ClientApp:
    """Load the ClientApp that `module:attribute` names.

    Raises:
        ImportError: if there is no such module.
        TypeError: if the attribute is not a ClientApp.
    """
    module, _, attribute = reference.partition(":")
    app = getattr(importlib.import_module(module), attribute, None)
    if not isinstance(app, ClientApp):
        raise TypeError(f"{reference} is not a ClientApp")
    return app


def build_bundle(files: Mapping[str, bytes]) -> bytes:
    """Build the bundle of files, as `flwr run` submits it."""
    build = importlib.import_module("flwr.cli.build")  # the command line, which only this asks for
    bundle, _ = build.build_fab_from_files(dict(files))
    assert isinstance(bundle, bytes)
    return bundle


def new_run(run_config: UserConfig, run_id: int | None = None) -> Run:
    """Make a run with this id, or with a fresh id.

    A site's records of different runs stay distinct.
    """
    run = Run.create_empty(run_id=secrets.randbits(62) + 1 if run_id is None else run_id)
    run.primary_task_id = secrets.randbits(62) + 1
    run.federation_id = NOOP_FEDERATION_ID
    run.override_config = dict(run_config)
    return run


def server_context(run: Run) -> Context:
    """Make the context that Flower gives a ServerApp."""
    return Context(run.run_id, 0, {}, RecordDict(), dict(run.override_config))


@contextmanager
def acting_as(run_id: int, node_id: int, task_id: int) -> Iterator[None]:
    """Act as a node while messages are created, and restore the former identity."""
    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = run_id, node_id, task_id
    try:
        yield
    finally:
        TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before


@contextmanager
def acting_as_coordinator(run: Run) -> Iterator[None]:
    """Act as the coordinator of `run` while messages are created."""
    with acting_as(run.run_id, SUPERLINK_NODE_ID, run.primary_task_id or 0):
        yield


def name_message(message: Message, message_id: str) -> None:
    """Give a message the id that a SuperLink would give it."""
    message.metadata.__dict__["_message_id"] = message_id


def error_reply(message: Message, failure: Failure) -> Message:
    """Make an error reply, whose reason never carries the text of an exception."""
    return Message(Error(code=int(failure), reason=failure.name), reply_to=message)


def detached(message: Message) -> Message:
    """Copy a message so that its records can change without touching the original.

    The bytes of arrays, which do not change, are shared.
    """
    metadata = copy.copy(message.metadata)
    if message.has_error():
        return make_message(metadata, error=message.error)
    content = RecordDict()
    for name, record in message.content.items():
        if isinstance(record, ArrayRecord):
            content[name] = ArrayRecord({key: _detached_array(array) for key, array in record.items()})
        else:
            content[name] = copy.deepcopy(record)
    return make_message(metadata, content=content)


def _detached_array(array: Array) -> Array:
    return Array(array.dtype, array.shape, array.stype, array.data)


def deflate(message: Message) -> Parcel:
    """Deflate a message as a SuperNode does before sending."""
    with no_object_id_recompute():
        contents = {key: part.deflate() for key, part in get_all_nested_objects(message).items()}
        return message.metadata.message_id, message.object_id, contents


def inflate(parcel: Parcel) -> Message:
    """Inflate a message that `deflate` deflated.

    Raises:
        TypeError: if it is not a message.
    """
    message_id, root, contents = parcel
    message = inflate_object_from_contents(root, contents)
    if not isinstance(message, Message):
        raise TypeError("the parcel holds no message")
    name_message(message, message_id)
    return message


def run_on_ray(server_app: ServerApp, client_app: ClientApp, sites: int, run: Run) -> None:
    """Run Flower's simulation of `sites` nodes on an initialised Ray, and disconnect at the end."""
    # brings the superlink's database layer, 40 MB that no other engine uses, into every worker process
    from flwr.simulation.run_simulation import _run_simulation

    with acting_as_coordinator(run):
        _run_simulation(
            num_supernodes=sites,
            exit_event=EventType.PYTHON_API_RUN_SIMULATION_LEAVE,
            client_app=client_app,
            server_app=server_app,
            backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0}},
            server_app_context=server_context(run),
            run=run,
        )
