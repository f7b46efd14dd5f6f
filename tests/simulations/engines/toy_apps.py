"""A ClientApp small enough to follow by hand; worker processes and Ray actors import it by name."""

import json
import os

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Move the weights by a step that depends on the site, the round and the run configuration."""
    asked = message.content.config_records["header"]
    seen = context.state.metric_records.get("seen", MetricRecord({"rounds": 0}))
    seen["rounds"] = int(str(seen["rounds"])) + 1
    context.state["seen"] = seen
    weights = message.content.array_records["weights"]["w"].numpy()
    generator = np.random.default_rng([int(context.node_config["seed"]), int(str(asked["round"]))])
    weights += np.float32(context.run_config["rate"]) * generator.normal(size=weights.shape).astype(
        np.float32
    )
    message.content.array_records["weights"]["w"] = Array(np.full(1, np.nan))
    asked["round"] = -1
    reply = RecordDict(
        {
            "weights": ArrayRecord({"w": Array(weights)}),
            "seen": MetricRecord({"rounds": int(str(seen["rounds"]))}),
            "header": ConfigRecord({"site": str(context.node_config["site"])}),
        }
    )
    return Message(reply, reply_to=message)


@app.query("fail")
def fail(message: Message, context: Context) -> Message:
    """Raise with a text that must not travel, at one site."""
    if context.node_config["site"] == "b":
        raise ValueError("patient 4711")
    return Message(RecordDict(), reply_to=message)


@app.query("die")
def die(message: Message, context: Context) -> Message:
    """End the whole process, at one site."""
    if context.node_config["site"] == "b":
        os._exit(3)
    return Message(RecordDict(), reply_to=message)


@app.query("process")
def process(message: Message, context: Context) -> Message:
    """Say which process serves this site, and with how many threads torch computes in it."""
    import torch

    facts = MetricRecord({"pid": os.getpid(), "threads": torch.get_num_threads()})
    return Message(RecordDict({"facts": facts}), reply_to=message)


@app.query("impostor")
def impostor(message: Message, context: Context) -> Message:
    """Return something that is no reply."""
    return message


@app.query("sign")
def sign(message: Message, context: Context) -> Message:
    """Add a mark to a file, to tell that this site was asked."""
    with open(str(context.run_config["asked"]), "a") as file:
        file.write("x")
    return Message(RecordDict(), reply_to=message)


@app.query("node")
def node(message: Message, context: Context) -> Message:
    """Say which node of a Ray cluster this is, and what it finds in its environment."""
    import ray

    told = {
        "node": ray.get_runtime_context().get_node_id(),
        "state": os.environ["CONSILIUM_STATE"],
        "threads": os.environ["OMP_NUM_THREADS"],
    }
    return Message(RecordDict({"told": ConfigRecord({"json": json.dumps(told)})}), reply_to=message)
