"""ClientApp of a hospital that notes the seconds of every message beside the run."""

import json
import os
import time
from pathlib import Path

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp import ClientApp

from client.app import app as hospital

NOTES = "notes"
"""The run configuration's name for the folder of notes: one file per process, a JSON list per message.

A list is the kind of message, the round (0 for statistics), wall-clock seconds and processor seconds.
"""


class _Timed(ClientApp):
    def __call__(self, message: Message, context: Context) -> Message:
        header = message.content["header"]
        assert isinstance(header, ConfigRecord)
        began, worked = time.perf_counter(), time.thread_time()
        reply = hospital(message, context)
        spent = (time.perf_counter() - began, time.thread_time() - worked)
        note = [message.metadata.message_type, header.get("round", 0), *spent]
        with (Path(str(context.run_config[NOTES])) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(note) + "\n")
        return reply


app = _Timed()
