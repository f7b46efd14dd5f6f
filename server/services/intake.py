"""SuperLink that takes a hospital's replies alone, in its own name and within a run's size.

Flower's own takes a message from any enrolled node in anybody's name: as a request to another node too, if the sender
calls itself the SuperLink. And it keeps whatever parts a message announces, so that one hospital fills the disk on
which all replies wait. Here two of its functions are called behind a check. The agreement of a run says how large a
message and how many rounds there can be; what a hospital has pushed to a run in all is held against that.

Written against flwr 1.41; a contract test compares what is replaced with the installed Flower.
"""

import importlib
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from common.agreement.agreement import FILE_NAME
from common.agreement.loading import load_agreement
from common.assessment.part import questions_of
from common.errors import InputError
from common.files import write_whole
from common.processes.process_log import log_beside_flower
from server.home.run_folder import run_folder

log = logging.getLogger("consilium.intake")


COMMAND = "flower-superlink"


HANDLERS = "flwr.superlink.servicer.fleet.fleet_handlers"


REPLACED = {"push_messages": ("request", "state"), "push_object": ("request", "state")}
"""Name -> its parameters in Flower."""


ALLOWANCE = "allowance.txt"
"""Beside a run's federation file: the bytes that one hospital may push to the run."""


BESIDE_ROUNDS = 3
"""Replies beside those of rounds and assessment: statistics, the closing evaluation, and one to spare."""


DESCRIBED = 10
"""Bytes of the database for a byte that announces parts."""


Handler = Callable[[Any, Any], Any]


def write_allowance(out: Path, largest: int) -> None:
    """Write how many bytes one hospital may push to a run, before the run asks anything.

    Args:
        out: folder of the run, with its federation file.
        largest: bytes of the largest reply.
    """
    agreement = load_agreement(out / FILE_NAME)
    replies = agreement.training.rounds + len(questions_of(agreement)) + BESIDE_ROUNDS
    write_whole(out / ALLOWANCE, f"{replies * largest}\n".encode())


class Intake:
    """Check in front of two of Flower's functions.

    What a hospital has pushed is counted anew when the SuperLink starts again.

    Args:
        push_messages: Flower's function that takes the announcement of a reply.
        push_object: its function that takes a part.
        environ: says where the coordinator's folder is.
    """

    def __init__(self, push_messages: Handler, push_object: Handler, environ: Mapping[str, str]) -> None:
        self._push_messages, self._push_object, self._environ = push_messages, push_object, environ
        self._taken: Counter[tuple[int, int]] = Counter()
        self._allowances: dict[int, int] = {}
        self._lock = threading.Lock()

    def push_messages(self, request: Any, state: Any) -> Any:
        """Take the announcement of one reply in the name of the node that sent it.

        Raises:
            HTTPException: if it is anything else, or the node has pushed too much.
        """
        if len(request.messages_list) != 1 or len(request.message_object_trees) != 1:
            raise _refused(HTTPStatus.BAD_REQUEST, "one reply is announced at a time")
        metadata, node = request.messages_list[0].metadata, request.node.node_id
        if metadata.src_node_id != node or not metadata.reply_to_message_id:
            log.warning("node %d announced something else than a reply in its own name", node)
            raise _refused(HTTPStatus.BAD_REQUEST, "a node sends replies in its own name alone")
        self._take(state, metadata.run_id, node, DESCRIBED * request.ByteSize())
        return self._push_messages(request, state)

    def push_object(self, request: Any, state: Any) -> Any:
        """Take a part of a reply.

        Raises:
            HTTPException: if the node has pushed too much.
        """
        run, node, size = request.run_id, request.node.node_id, len(request.object_content)
        self._take(state, run, node, size)
        stored = False
        try:
            response = self._push_object(request, state)
            stored = response.stored
        finally:
            if not stored:  # it was there already, or is not wanted
                with self._lock:
                    self._taken[run, node] -= size
        return response

    def _take(self, state: Any, run: int, node: int, size: int) -> None:
        allowed = self._allowance(state, run)
        with self._lock:
            before = self._taken[run, node]
            if before + size <= allowed:
                self._taken[run, node] += size
                return
        log.warning("node %d would push more than %d bytes to run %d", node, allowed, run)
        raise _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "more than the replies of the run can need")

    def _allowance(self, state: Any, run: int) -> int:
        """Bytes that a node may push to a run; none to one that is not known or asks nothing yet."""
        if run not in self._allowances:
            try:
                (described,) = state.get_run_info(run_ids=[run])
                text = (run_folder(described.override_config, self._environ) / ALLOWANCE).read_text(
                    encoding="ascii"
                )
                self._allowances[run] = int(text)
            except (InputError, OSError, ValueError):
                raise _refused(HTTPStatus.BAD_REQUEST, "the run asks for nothing") from None
        return self._allowances[run]


def _refused(status: HTTPStatus, sentence: str) -> HTTPException:
    return HTTPException(status, sentence)


def run_superlink(arguments: Sequence[str]) -> None:
    """Be `flower-superlink`, with these arguments, behind the check."""
    log_beside_flower()
    handlers = importlib.import_module(HANDLERS)
    intake = Intake(handlers.push_messages, handlers.push_object, os.environ)
    for name in REPLACED:
        setattr(handlers, name, getattr(intake, name))
    sys.argv = [COMMAND, *arguments]
    importlib.import_module("flwr.superlink.cli").flower_superlink()


if __name__ == "__main__":
    run_superlink(sys.argv[1:])
