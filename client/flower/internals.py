"""The hospital's use of what Flower does not promise to keep, with to_coordinator.py.

Written against flwr 1.41. The function behind Flower's own `flwr-clientapp` runs as it is, with seven names of its
module replaced: nothing is installed, no bundle is asked for its app, and what is pulled and pushed goes through a
`Doorkeeper`, a request that is larger than the agreement allows without its content. A contract test compares the names
and their parameters with the installed Flower.
"""

import argparse
import importlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from flwr.app import Context, Message, RecordDict

from client.flower.process_exit import end_now
from common.messages.inflating import TooLargeError, inflate_within, pull_within, without_content
from common.processes.quiet import QUIET

log = logging.getLogger("consilium.task")


FAILED = "The task failed; the site's own log says why."


RUNTIME = "flwr.supernode.runtime.run_clientapp"


REPLACED = {
    "pull_task_input": ("client",),
    "pull_and_inflate_object_from_tree": (
        *("object_tree", "pull_object_fn", "confirm_object_received_fn", "return_type"),
        *("max_concurrent_pulls", "max_time", "max_tries_per_object", "initial_backoff", "backoff_cap"),
    ),
    "install_from_fab": ("fab_file", "install_dir", "skip_prompt"),
    "install_app_dependencies": ("project_dir", "launch_id", "run_id", "index_context"),
    "get_load_client_app_fn": ("default_app_ref", "app_path", "multi_app"),
    "push_message": ("client", "message", "context"),
    "push_task_output": ("client", "context", "sub_status", "details"),
}
"""Name -> its parameters in Flower."""


@dataclass(frozen=True)
class AppTask:
    """Task that a SuperNode hands to an app's process.

    Attributes:
        message: the request.
        bundle: the bundle's content.
        bundle_hash: as the SuperNode calls it.
        bundle_version: as the run calls it.
    """

    message: Message
    bundle: bytes
    bundle_hash: str
    bundle_version: str


class Doorkeeper(Protocol):
    """Stands between Flower and the app."""

    def allowed(self) -> int:
        """Most bytes that a request may take."""

    def admit(self, task: AppTask) -> None:
        """See a task before anything is done with it."""

    def answer(self, message: Message, context: Context) -> Message:
        """The app's answer, or a refusal."""

    def release(self, message: Message) -> Message:
        """Return the message that leaves in place of a reply; if it raises, nothing leaves."""


class NothingLeavesError(Exception):
    """Flower is told no more than that something failed."""

    def __init__(self) -> None:
        super().__init__(FAILED)


def run_client_app(
    arguments: Sequence[str], doorkeeper: Doorkeeper, end: Callable[[int], object] = end_now
) -> None:
    """Run as `flwr-clientapp` for one task with these command line arguments.

    The process ends as Flower's does.

    Args:
        arguments: of the command line.
        doorkeeper: stands between Flower and the app.
        end: ends the process with an exit code, at once.
    """
    os.environ.update(QUIET)
    runtime = importlib.import_module(RUNTIME)
    for name, replacement in _replacements(runtime, doorkeeper, end).items():
        setattr(runtime, name, replacement)
    runtime.run_clientapp(**read_options(arguments))


def parser() -> argparse.ArgumentParser:
    """Parser of the command line that a SuperExec gives `flwr-clientapp`."""
    from flwr.common.args import add_args_flwr_app_common
    from flwr.supercore.constant import SUPERNODE_DEFAULT_CLIENT_ADDRESS

    ours = argparse.ArgumentParser(prog="flwr-clientapp", description="Run a Flower ClientApp")
    ours.add_argument("--runtime-api-address", default=SUPERNODE_DEFAULT_CLIENT_ADDRESS)
    add_args_flwr_app_common(parser=ours, include_token_stdin=True)
    return ours


def read_options(arguments: Sequence[str]) -> dict[str, Any]:
    """Read the options as Flower's own command does; exit with its code if they are not usable.

    Flower's command is not asked: its package imports the SuperNode with its database, half a second for every message.
    """
    from flwr.common.args import try_obtain_flwr_app_token
    from flwr.supercore.tls import validate_and_resolve_root_certificates

    given = parser().parse_args(arguments)
    return {
        "runtime_api_address": given.runtime_api_address,
        "token": try_obtain_flwr_app_token(given),
        "insecure": given.insecure,
        "certificates": validate_and_resolve_root_certificates(given.root_certificates, given.insecure),
        "parent_pid": given.parent_pid,
        "runtime_dependency_install": given.runtime_dependency_install,
    }


def _replacements(
    runtime: Any, doorkeeper: Doorkeeper, end: Callable[[int], object]
) -> dict[str, Callable[..., Any]]:
    pull, push, finish = runtime.pull_task_input, runtime.push_message, runtime.push_task_output
    held_back = False

    def pull_task_input(client: Any) -> Any:
        nonlocal held_back
        try:
            message, context, run, fab = pull(client)
        except Exception:  # its text may quote what was pulled
            held_back = True
            raise NothingLeavesError from None
        doorkeeper.admit(AppTask(message, fab.content, fab.hash_str, run.fab_version))
        return message, context, run, fab

    def pull_and_inflate_object_from_tree(
        object_tree: Any,
        pull_object_fn: Callable[[str], bytes],
        confirm_object_received_fn: Callable[[str], None],
        **_: object,
    ) -> Message:
        from flwr.supercore.inflatable.inflatable_object import iterate_object_tree

        name, names = object_tree.object_id, [part.object_id for part in iterate_object_tree(object_tree)]
        most = doorkeeper.allowed()
        try:
            message = inflate_within(name, pull_within(names, pull_object_fn, most), most)
        except TooLargeError as error:
            log.warning("a request is read without its content: %s", error)
            message = without_content(pull_object_fn(name))
        confirm_object_received_fn(name)
        return message

    def install_from_fab(*_: object, **__: object) -> None:
        """Nothing of a bundle is installed."""

    def install_app_dependencies(*_: object, **__: object) -> None:
        """Nor anything it depends on."""

    def get_load_client_app_fn(*_: object, **__: object) -> Callable[..., Any]:
        def load(*_: object) -> Callable[[Message, Context], Message]:
            def app(message: Message, context: Context) -> Message:
                return doorkeeper.answer(message, context)

            return app

        return load

    def push_message(client: Any, message: Message, context: Context) -> None:
        nonlocal held_back
        try:
            leaving = doorkeeper.release(message)
        except Exception:
            held_back = True
            raise NothingLeavesError from None
        push(client, leaving, context)

    def push_task_output(client: Any, context: Context | None, sub_status: str, details: str) -> None:
        if held_back:
            # a SuperNode that is told of an end waits for the reply for ever, and with it every later message; a
            # process that is gone it reports by itself after a minute, in fixed words
            end(1)
        finish(client=client, context=None, sub_status=sub_status, details=FAILED if details else "")

    replaced: dict[str, Callable[..., Any]] = {
        function.__name__: function
        for function in (
            pull_task_input,
            pull_and_inflate_object_from_tree,
            install_from_fab,
            install_app_dependencies,
            get_load_client_app_fn,
            push_message,
            push_task_output,
        )
    }
    assert set(replaced) == set(REPLACED)
    return replaced


def weigh(content: RecordDict) -> tuple[int, str]:
    """(bytes, SHA-256) of a record as Flower sends it.

    Flower names every part of a message by the SHA-256 of its serialised form, in which the names of its own parts
    stand: the name of the whole record therefore fixes every byte below it, and the coordinator can compute it too.
    """
    from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, no_object_id_recompute

    with no_object_id_recompute():
        parts = {key: len(part.deflate()) for key, part in get_all_nested_objects(content).items()}
        return sum(parts.values()), content.object_id


def content_bytes(content: RecordDict) -> bytes:
    """Serialise a message's content."""
    from flwr.common.serde import recorddict_to_proto

    serialised: bytes = recorddict_to_proto(content).SerializeToString()
    return serialised


def read_content(body: bytes) -> RecordDict:
    """Read what `content_bytes` wrote.

    Raises:
        ValueError: if it is something else.
    """
    from flwr.common.serde import recorddict_from_proto
    from flwr.proto.recorddict_pb2 import RecordDict as Serialised

    try:
        return recorddict_from_proto(Serialised.FromString(body))
    except Exception as error:  # bytes of another process fail to parse in nearly any way
        raise ValueError("this is no content of a message") from error
