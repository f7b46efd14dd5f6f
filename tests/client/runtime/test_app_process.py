"""The app's process says nothing about patients in its log, whatever happens to it."""

import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from client.flower.internals import content_bytes, read_content
from client.runtime.channel import AppRequest, Channel, FrameKind
from common.errors import RefusalCode
from common.messages.exchange import RefusalReply, StatisticsRequest
from common.processes.program import PROGRAM

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

LONGEST = 1 << 20


@pytest.fixture
def asked(hospital: "Hospital") -> tuple[subprocess.Popen[str], Channel]:
    """An app's process that has been asked for statistics, with a cell that no table may have."""
    ours, theirs = socket.socketpair()
    hospital.site.clinical = hospital.site.clinical.astype(object)
    hospital.site.clinical.iloc[0, 1] = "CANARY-8371"
    hospital.write()
    program = (*PROGRAM, "client.runtime.app_process", str(hospital.folder), str(theirs.fileno()))
    process = subprocess.Popen(program, pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True)
    theirs.close()
    return process, Channel(ours, 120)


def test_a_refusal_tells_a_code_and_the_log_no_value(
    hospital: "Hospital", asked: tuple[subprocess.Popen[str], Channel]
) -> None:
    process, channel = asked
    (hospital.folder / "agreement").mkdir(exist_ok=True)
    (hospital.folder / "federation.toml").rename(hospital.folder / "agreement" / "federation.toml")
    request = StatisticsRequest(federation=hospital.federation.digest, fold=-1).to_record()
    channel.send(FrameKind.REQUEST, AppRequest(7, "query.statistics", content_bytes(request)).to_bytes())
    _, body = channel.receive({FrameKind.REPLY: LONGEST})
    assert RefusalReply.from_record(read_content(body)).code is RefusalCode.COHORT_INVALID
    channel.expect_end()
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "cohort-invalid" in log
    assert "CANARY" not in log


@pytest.mark.parametrize("body", [b"CANARY-8371", b"[1, 2]\nCANARY-8371", b"\xff"])
def test_what_is_no_question_ends_the_process_by_the_kind_of_error_alone(
    asked: tuple[subprocess.Popen[str], Channel], body: bytes
) -> None:
    process, channel = asked
    channel.send(FrameKind.REQUEST, body)
    _, log = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGKILL)
    assert "CANARY" not in log
    assert "Traceback" not in log
