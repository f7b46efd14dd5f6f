"""All that leaves a hospital, byte by byte: what it sends through a recording proxy, and that it sends nothing else."""

import base64
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import signal
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from client.site_folder import places as site_home
from common.agreement.agreement import FILE_NAME
from common.agreement.loading import load_agreement
from common.assessment.part import questions_of
from common.messages.exchange import (
    AssessmentReply,
    EvaluateReply,
    RefusalReply,
    StatisticsReply,
    TrainReply,
    UpdateReply,
    is_refusal,
)
from common.patients.preprocessing import Preprocessing, unpack_preprocessing
from server.home import places as coordinator_home
from server.records.assessment import read_answers
from server.records.journal import RoundRecord, RunRecord, read_journal
from server.records.result import load_result
from tests.system.processes import (
    CONSILIUM,
    PATIENCE_S,
    ask,
    consilium,
    coordinator,
    join,
    lay_out,
    process,
    processes_of,
    receipts,
    stop,
    taking_part,
    until,
)
from tests.system.recorder import Recorder, recording
from tests.system.signs import Signs, files_with, number_sign, seen, text_sign
from tests.system.wire import Part, Pushed, parts, pulled_objects, pushed_messages, pushed_objects

pytestmark = pytest.mark.usefixtures("nginx")
HOSPITAL = "hospital 1"
TEXTS = {
    "patient": "CANARY-8371",
    "last patient": "Quilvoss-5521",
    "identifier column": "IdentBrimol64",
    "column": "ColQuorvid31",
    "table file": "Zorvex77",
    "site folder": "Skelvane58",
    "user": "Trundal93",
}
BAD_CELL = "CellGrivost45"
IMAGING, CLINICAL, RNA, MONTHS = 98765.4321, 123.45678, 2.7283746, 7.6543219
NUMBERS = {"imaging": IMAGING, "clinical": CLINICAL, "rna": RNA, "months": MONTHS}
TABLE = f"imaging-{TEXTS['table file']}.parquet"
PATHS = {
    f"/v1/fleet/{verb}"
    for verb in (
        *("activate-node", "deactivate-node", "send-node-heartbeat", "pull-messages", "push-messages"),
        *("pull-object", "push-object", "confirm-message-received", "get-run", "get-fab"),
    )
}
SMALL = 4096
"""Bytes of any body that is not a part of a message's content."""


def planted(folder: Path) -> None:
    """Plant every mark in a site's tables and file names; its imaging is a Parquet file from now on."""
    for path in folder.glob("*.csv"):
        table = pd.read_csv(path, dtype=str).rename(columns={"patient": TEXTS["identifier column"]})
        table.iloc[0, 0], table.iloc[-1, 0] = TEXTS["patient"], TEXTS["last patient"]
        table.to_csv(path, index=False)
    for name, column, row, number in (
        ("clinical.csv", "clinical_2", 1, CLINICAL),
        ("rna.csv", "G3", 2, RNA),
        ("outcomes.csv", "months", 3, MONTHS),
        ("imaging.csv", "image_1", 4, IMAGING),
    ):
        table = pd.read_csv(folder / name, dtype=str)
        table.loc[row, column] = str(number)
        table.to_csv(folder / name, index=False)
    table = pd.read_csv(folder / "imaging.csv")
    (folder / "imaging.csv").unlink()
    table.rename(columns={"image_1": TEXTS["column"]}).to_parquet(folder / TABLE)
    settings = (folder / "site.toml").read_text()
    settings = settings.replace("imaging.csv", TABLE)
    settings = settings.replace('"patient"', f'"{TEXTS["identifier column"]}"')
    (folder / "site.toml").write_text(f'{settings}\n[columns.imaging]\nimage_1 = "{TEXTS["column"]}"\n')


def signs(preprocessing: Preprocessing | None = None) -> Signs:
    """Forms of every mark; numbers also on a log scale and as the model sees them."""
    found = {name: text_sign(text) for name, text in {**TEXTS, "bad cell": BAD_CELL}.items()}
    for name, number in NUMBERS.items():
        found[name] = number_sign(number)
        found[f"{name}, logarithm"] = number_sign(math.log1p(number))
    for name, node in (("imaging", 0), ("clinical", 1), ("rna", 2)) if preprocessing else ():
        assert preprocessing is not None
        center, spread = (float(part[name][node]) for part in (preprocessing.center, preprocessing.spread))
        found[f"{name}, standardised"] = number_sign(float(np.float32((NUMBERS[name] - center) / spread)))
    return found


@dataclass(frozen=True)
class Watched:
    """A hospital that takes part through a recorder.

    Attributes:
        coordinator: the coordinator's folder.
        site: the hospital's.
        user: the folder of the user that runs it.
        recorder: between the two.
        calls: what `strace` wrote of its processes' calls that name an address; not there without `strace`.
    """

    coordinator: coordinator_home.CoordinatorHome
    site: site_home.Home
    user: Path
    recorder: Recorder
    calls: Path

    def sent(self) -> list[Part]:
        """Every request of the hospital, a connection after another."""
        return [part for stream in self.recorder.sent() for part in parts(stream)]

    def pushed(self) -> list[Pushed]:
        """Every message that left, in order of time."""
        answers = [part for stream in self.recorder.received() for part in parts(stream)]
        sent = self.sent()
        pushed = pushed_messages(sent, pulled_objects(answers) | pushed_objects(sent))
        return sorted(pushed, key=lambda one: one.metadata.created_at)


@contextmanager
def watched(written: Path, root: Path, rounds: int, **settings: str) -> Iterator[Watched]:
    """A federation of one hospital with every mark planted; it is stopped, and ends, with this context."""
    name = f"ward-{TEXTS['site folder']}"
    cohort = lay_out(written, root, {1: name}, rounds, **settings)
    planted(root / name)
    user, calls = root / f"user-{TEXTS['user']}", root / "calls"
    with (
        coordinator(root / "home", "--federation", cohort) as home,
        recording(home, root / "recorded") as recorder,
    ):
        site = join(home, HOSPITAL, root / name, port=recorder.port)
        recorder.speak_for(site.key)
        with taking_part(site, user, tracer(calls)) as started:
            yield Watched(home, site, user, recorder, calls)
            assert stop(site, started) == 0
    until(lambda: processes_of(root) == [], "processes are left")


def tracer(calls: Path) -> Sequence[object]:
    """Have every call that names an address written down, of a process and all that it starts."""
    strace = shutil.which("strace")
    named = "trace=bind,connect,sendto,sendmsg,sendmmsg"
    return () if strace is None else (strace, "-f", "--seccomp-bpf", "-yy", "-s", 0, "-e", named, "-o", calls)


@dataclass(frozen=True)
class Captured:
    """A whole run.

    Attributes:
        watched: where it took place.
        sent: all requests of the hospital.
        pushed: its messages.
        receipts: its own record of what left.
        out: the run's folder at the coordinator.
        told: what `coordinator run` printed.
        planted: what another recorder saw of requests that hold marks, a request each, by what is in them.
    """

    watched: Watched
    sent: list[Part]
    pushed: list[Pushed]
    receipts: list[dict[str, Any]]
    out: Path
    told: str
    planted: dict[str, bytes]


@pytest.fixture(scope="module")
def captured(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """A run of one round, and everything stopped again."""
    root = tmp_path_factory.mktemp("capture")
    with watched(written_cohort, root, rounds=1) as one:
        told = consilium("coordinator", "run", one.coordinator.folder)
        requests = disguises(TEXTS["patient"], IMAGING)
        with recording(one.coordinator, root / "planted") as other:
            other.speak_for(one.site.key)
            for headers, body in requests.values():
                assert ask(one.coordinator, "POST", "/v1/fleet/get-run", body, other.port, headers) >= 400
    planted = dict(zip(requests, other.sent(), strict=True))
    (out,) = one.coordinator.runs.iterdir()
    return Captured(one, one.sent(), one.pushed(), receipts(one.site), out, told, planted)


def test_the_capture_holds_every_message_that_left_and_nothing_beside(captured: Captured) -> None:
    questions = len(questions_of(load_agreement(captured.out / FILE_NAME)))
    assert [one["message"] for one in captured.receipts] == [
        "StatisticsReply",
        "TrainReply",
        "EvaluateReply",
        *["AssessmentReply"] * questions,
    ]
    assert [(one["sha256"], one["size_bytes"]) for one in captured.receipts] == [
        (one.root, one.size) for one in captured.pushed
    ]
    assert [one["request"] for one in captured.receipts] == [
        one.metadata.reply_to_message_id for one in captured.pushed
    ]
    assert {one["run"] for one in captured.receipts} == {captured.out.name}
    messages = {one.metadata.message_id for one in captured.pushed}
    accounted = messages.union(*(one.ids for one in captured.pushed))
    left = pushed_objects(captured.sent)
    assert messages <= set(left) <= accounted
    assert {part.path for part in captured.sent} <= PATHS
    others = [part for part in captured.sent if part.path != "/v1/fleet/push-object"]
    assert max(len(part.body) for part in others) < SMALL
    assert max(len(part.head) for part in captured.sent) < SMALL


def test_what_the_coordinator_keeps_is_what_was_captured(captured: Captured) -> None:
    statistics, training, evaluation, *assessment = (one.content for one in captured.pushed)
    federation = load_agreement(captured.out / FILE_NAME)
    for (part, number), content in zip(questions_of(federation), assessment, strict=True):
        reply, weights = AssessmentReply.from_record(content), load_result(captured.out).weights
        kept = read_answers(captured.out, part, number, weights)
        assert kept is not None
        assert kept[HOSPITAL].patients == reply.patients
        assert all((kept[HOSPITAL].sums[name] == array).all() for name, array in reply.sums.items())
    assert StatisticsReply.from_record(statistics).patients >= 20
    trained = TrainReply.from_record(training)
    assert (trained.site, EvaluateReply.from_record(evaluation).round) == (HOSPITAL, 2)
    closed, result = read_journal(captured.out)[-1], load_result(captured.out)
    assert isinstance(closed, RunRecord)
    assert (closed.status, closed.sites, closed.best_round) == ("completed", (HOSPITAL,), 1)
    assert {name: array.tobytes() for name, array in result.weights.items()} == {
        name: array.tobytes() for name, array in trained.weights.items()
    }


def test_no_mark_leaves_the_hospital(captured: Captured) -> None:
    every = signs(unpack_preprocessing(load_result(captured.out).preprocessing))
    assert seen(every, *captured.watched.recorder.sent()) == set()
    assert seen(every, *(part.head + b"\r\n\r\n" + part.body for part in captured.sent)) == set()
    assert seen(every, captured.told.encode()) == set()
    assert files_with(every, captured.watched.coordinator.folder) == {}


def test_every_mark_is_found_where_it_was_planted(captured: Captured) -> None:
    folder = captured.watched.site.folder
    tables = [path.read_bytes() for path in folder.glob("*.csv")]
    imaging = pd.read_parquet(folder / TABLE)
    places = [str(folder).encode(), str(captured.watched.user).encode(), imaging.to_csv().encode()]
    settings = (folder / "site.toml").read_bytes()
    assert seen(signs(), *tables, *places, settings) >= {*TEXTS, *NUMBERS}


def disguises(text: str, number: float) -> dict[str, tuple[dict[str, str], bytes]]:
    """(headers, body) of requests with a text or a number, in ways in which it could travel."""
    plain = f"...{text}...".encode()
    bodies = {
        "plain": plain,
        "lower case": plain.lower(),
        "16 bits": b"." + text.encode("utf-16-le"),
        "hexadecimal": plain.hex().encode(),
        "base64": base64.b64encode(plain),
        "base64, shifted by 1": base64.b64encode(b"." + plain),
        "base64, shifted by 2": base64.urlsafe_b64encode(b".." + plain),
        "escaped": "".join(f"%{byte:02X}" for byte in plain).encode(),
        "hashed": hashlib.sha256(text.encode()).hexdigest().encode(),
        "gzip": b"..." + gzip.compress(plain),
        "zlib": b"..." + zlib.compress(plain, 9),
        "float": b"." + struct.pack("<f", number),
        "double": b"..." + struct.pack(">d", number),
        "integer": b"." + struct.pack("<i", round(number)),
        "digits": f'{{"value": {number:.2f}}}'.encode(),
        "few digits": f'{{"value":{number:.0f}}}'.encode(),
        "thousands": f"value {number:,.1f};".encode(),
        "scientific": f" {number:.4e} ".encode(),
    }
    in_header = {
        "header": ({"X-Ward": text}, b""),
        "coded": ({"Content-Encoding": "gzip"}, gzip.compress(plain)),
    }
    return {name: ({}, body) for name, body in bodies.items()} | in_header


def test_recorder_and_search_find_what_is_planted_in_requests(captured: Captured) -> None:
    every = signs()
    found = {name: seen(every, stream) for name, stream in captured.planted.items()}
    numbers = {"float", "double", "integer", "digits", "few digits", "thousands", "scientific"}
    assert found == {name: {"imaging" if name in numbers else "patient"} for name in found}
    (coded,) = parts(captured.planted["coded"])
    assert seen(every, coded.body) == {"patient"}


def called(calls: Path) -> Counter[tuple[str, str, str]]:
    """(call, kind of socket, IP:PORT) of all that name an address beyond the machine's own sockets and kernel."""
    found: Counter[tuple[str, str, str]] = Counter()
    for line in calls.read_text().splitlines():
        if "sa_family" not in line or "sa_family=AF_UNIX" in line or "sa_family=AF_NETLINK" in line:
            continue
        call = re.search(r"(\w+)\(\d+<(\w+)", line)
        place = re.search(r'(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"', line)
        port = re.search(r"port=htons\((\d+)\)", line)
        assert call is not None, line
        found[call[1], call[2], f"{place[1]}:{port[1]}" if place and port else line] += 1
    return found


@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed; `apt-get install strace`"
)
def test_its_processes_call_the_coordinator_and_themselves_and_nobody_else(captured: Captured) -> None:
    one = captured.watched
    own, there = (
        site_home.read_connection(one.site).port,
        ("connect", "TCP", f"127.0.0.1:{one.recorder.port}"),
    )
    found = called(one.calls)
    assert {each for each in found if each[0] != "bind"} == {there, ("connect", "TCP", f"127.0.0.1:{own}")}
    assert found[there] == one.recorder.connections  # and so each of them was recorded
    # urllib3 binds a port of ::1, to see whether there is IPv6, and listens to nobody there
    bound = {each for each in found if each[0] == "bind"} - {("bind", "TCPv6", "::1:0")}
    assert bound == {("bind", "TCP", f"127.0.0.1:{own}")}


@pytest.mark.slow
def test_encoded_updates_leave_as_recorded_and_take_no_mark_along(
    written_cohort: Path, tmp_path: Path
) -> None:
    with watched(written_cohort, tmp_path, rounds=2, wire__update="int8") as one:
        told = consilium("coordinator", "run", one.coordinator.folder)
    left, pushed = receipts(one.site), one.pushed()
    assert [each["message"] for each in left] == [
        "StatisticsReply",
        "UpdateReply",
        "UpdateReply",
        "EvaluateReply",
    ]
    assert [(each["sha256"], each["size_bytes"]) for each in left] == [
        (each.root, each.size) for each in pushed
    ]
    for each in pushed[1:3]:
        assert set(UpdateReply.from_record(each.content).update) == {"levels"}
    (out,) = one.coordinator.runs.iterdir()
    *rounds, closed = read_journal(out)
    assert isinstance(closed, RunRecord)
    assert (closed.status, closed.sites) == ("completed", (HOSPITAL,))
    assert not any(each.dropped for each in rounds if isinstance(each, RoundRecord))
    every = signs(unpack_preprocessing(load_result(out).preprocessing))
    assert seen(every, *one.recorder.sent(), told.encode(), *(each.body for each in one.sent())) == set()
    assert seen(every, one.site.residual.read_bytes()) == set()
    assert files_with(every, one.coordinator.folder) == {}


def spoil_cell(site: Path) -> None:
    """A mark where a number should be."""
    table = pd.read_csv(site / "clinical.csv", dtype=str)
    table.loc[0, "clinical_1"] = BAD_CELL
    table.to_csv(site / "clinical.csv", index=False)


def spoil_file(site: Path) -> None:
    """A Parquet file that is none, full of marks."""
    (site / TABLE).write_bytes(b"PAR1" + BAD_CELL.encode() * 100 + b"PAR1")


def spoil_metadata(site: Path) -> None:
    """A Parquet file that is one, on which pandas raises a KeyError with the mark as its text."""
    metadata = {"index_columns": [BAD_CELL], "columns": [], "column_indexes": []}
    table = pq.read_table(site / TABLE).replace_schema_metadata({"pandas": json.dumps(metadata)})
    pq.write_table(table, site / TABLE)
    with pytest.raises(KeyError, match=BAD_CELL):
        pd.read_parquet(site / TABLE)


@contextmanager
def written_to(pipe: Path) -> Iterator[None]:
    """Hold the writing end of a pipe, once somebody reads it."""
    ends: list[int] = []

    def read() -> bool:
        with suppress(OSError):
            ends.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        return bool(ends)

    until(read, "nobody reads it", PATIENCE_S)
    yield
    os.close(ends[0])


def apps(site: Path) -> list[int]:
    """Processes in which the hospital's app runs."""
    parts_ = (b"client.runtime.app_process", os.fsencode(site))
    return [pid for pid in processes_of(site.parent) if is_called(pid, *parts_)]


def is_called(pid: int, *words: bytes) -> bool:
    try:
        return set(words) <= set(Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    except OSError:  # it has ended
        return False


@pytest.mark.slow
def test_no_exception_takes_a_mark_along(written_cohort: Path, tmp_path: Path) -> None:
    with watched(written_cohort, tmp_path, rounds=2) as one:
        folder, home = one.site.folder, one.coordinator.folder
        whole = tmp_path / "whole"
        shutil.copytree(
            folder, whole, ignore=shutil.ignore_patterns("state", "keys", "receipts", "agreement")
        )

        def mend() -> None:
            for path in (path for path in whole.iterdir() if path.suffix in (".csv", ".parquet")):
                shutil.copy(path, folder)

        spoil_cell(folder)
        consilium("coordinator", "run", home, code=1)
        mend()
        with process(CONSILIUM, "coordinator", "run", home, log=tmp_path / "second") as run:
            until(lambda: trained(one.site) or run.poll() is not None, "it was not trained", PATIENCE_S)
            spoil_file(folder)
            run.wait(PATIENCE_S)
        mend()
        spoil_metadata(folder)
        consilium("coordinator", "run", home, code=1)
        mend()
        table = folder / "clinical.csv"
        table.unlink()
        os.mkfifo(table)
        with process(CONSILIUM, "coordinator", "run", home, log=tmp_path / "fourth") as run:
            with written_to(table):  # and so the app is in the middle of reading it
                (app,) = apps(folder)
                os.kill(app, signal.SIGKILL)
            assert run.wait(PATIENCE_S) == 1
    refused = ("RefusalReply", "refused")
    left = receipts(one.site)
    assert [(one["message"], one["verdict"], one["reason"]) for one in left] == [
        (*refused, "cohort-invalid"),
        ("StatisticsReply", "passed", ""),
        ("TrainReply", "passed", ""),
        (*refused, "cohort-invalid"),
        (*refused, "cohort-invalid"),
        (*refused, "cohort-invalid"),
        (*refused, "internal"),
    ]
    answered = one.pushed()
    assert [(each["sha256"], each["size_bytes"]) for each in left] == [
        (each.root, each.size) for each in answered
    ]
    codes = [RefusalReply.from_record(each.content).code for each in answered if is_refusal(each.content)]
    assert codes == [each["reason"] for each in left if each["reason"]]
    assert seen(signs(), *one.recorder.sent(), *(part.body for part in one.sent())) == set()
    assert files_with(signs(), home) == {}
    values = ("patient", "last patient", "bad cell", *NUMBERS)
    secret = {name: sign for name, sign in signs().items() if name in values}
    assert files_with(secret, one.site.logs) | files_with(secret, one.user / "output") == {}


def trained(site: site_home.Home) -> bool:
    """Whether weights have left."""
    return b'"TrainReply"' in site.receipts.read_bytes()
