"""Simulated site: a ClientApp, and the context that Flower would give it."""

import logging
from collections.abc import Mapping, Sequence

from flwr.app import Context, Message, RecordDict, UserConfig, UserConfigValue
from flwr.clientapp import ClientApp

from simulations.engines.flower_internals import Failure, Run, acting_as, error_reply, first_node_id

NodeConfig = Mapping[str, UserConfigValue]


_log = logging.getLogger(__name__)


def contexts(nodes: Sequence[NodeConfig], run_config: UserConfig, run: Run) -> dict[int, Context]:
    """Make a context per site by node id; ids follow the order of `nodes` in every run."""
    return {
        node_id: Context(run.run_id, node_id, dict(node), RecordDict(), dict(run_config))
        for node_id, node in enumerate(nodes, start=first_node_id())
    }


def answer(app: ClientApp, message: Message, context: Context) -> Message:
    """Answer a message as a site; an exception becomes Flower's error reply without its text.

    The exception itself goes to the local log, as it would at a hospital.
    """
    with acting_as(context.run_id, context.node_id, context.node_id):
        try:
            reply = app(message=message, context=context)
            if reply.metadata.reply_to_message_id != message.metadata.message_id:
                raise ValueError("the ClientApp returned a message that is no reply to the one it was given")
        except Exception:
            _log.exception("the ClientApp of node %d raised", context.node_id)
            return error_reply(message, Failure.RAISED)
        return reply
