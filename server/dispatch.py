"""Requests out, replies in: Flower's own `send_and_receive` looks every three seconds and tells nothing in between."""

import time
from collections.abc import Callable, Iterable

from flwr.app import Message
from flwr.serverapp import Grid

POLL_S = 0.5
"""Seconds between two looks at the replies, which are at the coordinator's own SuperLink."""

Heard = Callable[[Message], None]


def exchange(
    grid: Grid, requests: Iterable[Message], deadline_s: float, heard: Heard | None = None
) -> list[Message]:
    """Send requests and wait until each has its reply, or for the deadline.

    A request that Flower does not take, such as one to a node whose key was withdrawn, has no reply.

    Args:
        grid: the way to the nodes.
        requests: one per node; Flower names them as it sends them.
        deadline_s: seconds to wait.
        heard: called with each reply as it comes.

    Returns:
        The replies, errors among them, as they came.
    """
    end = time.monotonic() + deadline_s
    # Flower gives None for what it does not take, which its types do not say
    waiting = {key for key in grid.push_messages(list(requests)) if key}
    replies: list[Message] = []
    while waiting:
        for reply in grid.pull_messages(sorted(waiting)):
            waiting.discard(reply.metadata.reply_to_message_id)
            replies.append(reply)
            if heard is not None:
                heard(reply)
        if not waiting or (left := end - time.monotonic()) <= 0:
            break
        time.sleep(min(POLL_S, left))
    return replies
