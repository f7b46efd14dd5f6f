"""Launcher of a hospital that answers to train with an array of equal parts, 5 MB on the wire and 2,500 here.

Run in place of `client.runtime.launcher`, with the folder, no socket, and what Flower adds.
"""

import sys
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import InflatableObject

from client.flower.internals import run_client_app
from client.flower.process_exit import end_after
from client.runtime.app_link import AppProcess
from client.runtime.gatekeeper import Gatekeeper
from client.site_folder.site_file import parse_site_file

PARTS, PART = 500, 5 << 20


class Bomb(Array):
    """Array that names its only part many times."""

    def slice_array(self) -> list[tuple[str, InflatableObject]]:
        """List the part as often as it is to be inflated."""
        return [super().slice_array()[0]] * PARTS


Bomb.__qualname__ = Array.__qualname__


class BombingGatekeeper(Gatekeeper):
    """Gate that is honest until it is asked to train."""

    def release(self, message: Message) -> Message:
        """Answer in the form of a reply, but for the size of its array."""
        assert self._request is not None
        if self._request.metadata.message_type != "train":
            return super().release(message)
        site = parse_site_file(self.home.folder).name
        header = ConfigRecord({"message": "TrainReply", "site": site, "round": 1, "manifest": b"x"})
        content = RecordDict(
            {
                "header": header,
                "arrays": ArrayRecord({"arrays": Bomb(np.zeros(2 * PART, np.uint8))}),
                "patients": MetricRecord({}),
                "metrics": MetricRecord({}),
            }
        )
        return Message(content, reply_to=self._request)


if __name__ == "__main__":
    folder, _, *rest = sys.argv[1:]
    app = AppProcess(Path(folder))
    end_after(lambda: run_client_app(rest, BombingGatekeeper(Path(folder), app)), "task", returned=0)
