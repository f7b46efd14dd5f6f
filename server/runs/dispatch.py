"""Requests to nodes, and the nodes' replies one by one.

`send_and_receive` of Flower looks every three seconds, and says nothing in between.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from flwr.app import Message
from flwr.serverapp import Grid

from server.runs.clock import Clock

POLL_S = 0.5
"""Seconds between two looks at the replies, which are at the coordinator's own SuperLink, at the most."""


QUICK_S = 0.01
"""The same as a round begins."""


OnReply = Callable[[Message], None]


def exchange(
    grid: Grid,
    requests: Iterable[Message],
    deadline_s: float,
    heard: OnReply | None = None,
    clock: Clock = time,
) -> Iterator[Message]:
    """Send requests and yield the replies as they come, until all are there or the deadline.

    Nothing is sent before the first reply is asked for, and no reply is kept here beyond those that a look at the grid
    gave: one in a simulation, all that are there from a SuperLink. A request that Flower does not take, such as one to
    a node whose key was withdrawn, has no reply. What is there at the deadline still counts.

    Args:
        grid: the way to the nodes.
        requests: one per node; Flower names them as it sends them.
        deadline_s: seconds to wait.
        heard: called with each reply as it comes.
        clock: measures the seconds.
    """
    began = clock.monotonic()
    # Flower gives None for what it does not take, which its types do not say
    waiting = {key: None for key in grid.push_messages(list(requests)) if key}
    while waiting:
        some = False
        for reply in grid.pull_messages(list(waiting)):
            some = True
            waiting.pop(reply.metadata.reply_to_message_id, None)
            if heard is not None:
                heard(reply)
            yield reply
        if some:
            continue
        waited = clock.monotonic() - began
        if waited >= deadline_s:
            return
        # a round of seconds is not made longer by half a second, nor a round of minutes by a thousand looks
        clock.sleep(min(max(QUICK_S, waited / 20), POLL_S, deadline_s - waited))
