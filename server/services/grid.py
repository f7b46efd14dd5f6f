"""The way to the hospitals over a SuperLink, with bounds of what their replies may take.

Flower's own grid makes whatever a reply says whole, takes the sender's word for who it is, waits for what a sender has
announced and not sent, and ends the run if a reply cannot be read. Here the SuperLink says whose reply it is, a reply
that is not whole yet is left for the next look, and one that is too large or cannot be read stands without content: it
is dropped as any other that is no message of this protocol.

Written against flwr 1.41; a contract test compares the names that are used with the installed Flower.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any

from flwr.app import Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.common.constant import ErrorCode
from flwr.common.serde_utils import metadata_from_proto
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest
from flwr.proto.runtime_pb2 import PullAppMessagesRequest
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_protobuf_utils import make_pull_object_fn_protobuf
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError
from flwr.superlink.grid import HttpGrid

from common.messages.inflating import (
    NotWholeError,
    TooLargeError,
    inflate_within,
    largest_message,
    pull_within,
)

log = logging.getLogger("consilium.grid")


REPLIES = 2
"""Replies to a request that are pulled: the second shows that a hospital replied twice, and no other is needed."""


class BoundedGrid(HttpGrid):
    """Flower's grid with a bound for each reply.

    Attributes:
        allowed: most bytes that a reply may take.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.allowed = largest_message({})
        self._replies: Counter[str] = Counter()
        self._arriving: list[tuple[Any, Any]] = []

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Pull the replies to these requests that are there and whole."""
        asked = set(message_ids)
        # the SuperLink gives a reply once, and calls it lost when it is asked again
        arriving = {header.metadata.reply_to_message_id for header, _ in self._arriving}
        request = PullAppMessagesRequest(message_ids=asked - arriving)
        answer = self._runtime_client.PullMessages(request)
        for header, tree in zip(answer.messages_list, answer.message_object_trees, strict=True):
            self._replies[header.metadata.reply_to_message_id] += 1
            if self._replies[header.metadata.reply_to_message_id] <= REPLIES:
                self._arriving.append((header, tree))
        waiting = [reply for reply in self._arriving if reply[0].metadata.reply_to_message_id in asked]
        self._arriving, pulled = [], []
        for header, tree in waiting:
            try:
                pulled.append(self._pulled(header, tree))
            except NotWholeError:
                self._arriving.append((header, tree))
        return pulled

    def _pulled(self, header: Any, tree: Any) -> Message:
        """Reply in the name of the node that the SuperLink has it from.

        Raises:
            NotWholeError: if it has not come whole yet.
        """
        metadata = metadata_from_proto(header.metadata)
        run = self.run.run_id
        pull = make_pull_object_fn_protobuf(self._runtime_client.PullObject, self.node, run)
        try:
            # a hospital sends the first object of a message last, so that a reply on its way costs one question
            names = [tree.object_id, *(part.object_id for part in iterate_object_tree(tree))]
            contents = pull_within(names, pull, self.allowed, wait=False)
            reply = inflate_within(metadata.message_id, contents, self.allowed)
        except NotWholeError:
            raise
        except ObjectPullError:
            what = "the reply's objects are unavailable"
            return make_message(metadata, error=Error(ErrorCode.MESSAGE_UNAVAILABLE, what))
        except (
            Exception
        ) as error:  # a hostile reply can raise nearly anything, and none of it may end the run
            reason = str(error) if isinstance(error, TooLargeError) else type(error).__name__
            log.warning("a reply of node %s is read without its content: %s", metadata.src_node_id, reason)
            reply = make_message(metadata, content=RecordDict())
        self._runtime_client.ConfirmMessageReceived(
            ConfirmMessageReceivedRequest(node=self.node, run_id=run, message_object_id=metadata.message_id)
        )
        if reply.has_error():
            return make_message(metadata, error=reply.error)
        return make_message(metadata, content=reply.content)
