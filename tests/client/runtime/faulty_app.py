"""Process in place of the app's that misbehaves; run as a program with FAULT FOLDER SOCKET."""

import os
import signal
import socket
import sys

from flwr.app import ConfigRecord, RecordDict

from client.flower.internals import content_bytes
from client.runtime.app_process import LARGEST_REQUEST
from client.runtime.channel import Channel, FrameKind

CANARY = "CANARY-8371"


def main(fault: str, number: str) -> None:
    connection = socket.socket(fileno=int(number))
    channel = Channel(connection)
    channel.receive({FrameKind.REQUEST: LARGEST_REQUEST})
    print(f"a line on standard output with a {CANARY}")
    answer = content_bytes(RecordDict({CANARY: ConfigRecord({"patient": CANARY})}))
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "silent":
        signal.pause()
    if fault == "half":
        connection.sendall(bytes([FrameKind.REPLY]) + len(answer).to_bytes(8, "big") + answer[:9])
    if fault == "garbage":
        connection.sendall(CANARY.encode() * 100)
    if fault == "unreadable":
        channel.send(FrameKind.REPLY, b"\xff" * 100)
    if fault == "long":
        connection.sendall(bytes([FrameKind.REPLY]) + (10 << 30).to_bytes(8, "big") + answer)
    if fault == "twice":
        channel.send(FrameKind.REPLY, answer)
        channel.send(FrameKind.REPLY, answer)
    if fault == "foreign":
        channel.send(FrameKind.REPLY, answer)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3])
