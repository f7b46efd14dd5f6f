"""Only messages of the approved types leave, as they are or as a refusal; what is in them is `test_outgoing.py`'s."""

import json
import math
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.egress.expected import BlockReason
from client.egress.gate import ERROR_SENTENCE
from client.ledger.entries import Entry
from client.ledger.ledger import Ledger
from common.errors import RefusalCode
from common.messages.exchange import (
    PACKED,
    EvaluateReply,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
)
from tests.client.egress.gate_case import CANARY, NUMBER, Exchange, assert_quiet, exchange, gate_of, private
from tests.packed import changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

KINDS = ("query.statistics", "train", "evaluate")
REPLIES: dict[str, type[StatisticsReply | TrainReply | EvaluateReply]] = {
    "query.statistics": StatisticsReply,
    "train": TrainReply,
    "evaluate": EvaluateReply,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("statistics", [None, "declared", "noised", "public"])
def test_the_apps_own_replies_pass_unchanged(hospital: "Hospital", kind: str, statistics: str | None) -> None:
    if statistics is not None:
        private(hospital, statistics=statistics)
    asked = exchange(hospital, kind)
    verdict = asked.check()
    assert (verdict.outcome, verdict.reason) == ("passed", "")
    sent, meant = (REPLIES[kind].from_record(part) for part in (verdict.message.content, asked.content()))
    for field in type(meant).model_fields:
        ours, theirs = getattr(sent, field), getattr(meant, field)
        if isinstance(theirs, dict) and any(isinstance(value, np.ndarray) for value in theirs.values()):
            assert list(ours)
            assert {name: array.tobytes() for name, array in ours.items()} == {
                name: array.tobytes() for name, array in theirs.items()
            }
        else:
            assert ours == theirs
    assert verdict.message.metadata.reply_to_message_id == asked.request.metadata.message_id


def test_a_refusal_passes_as_its_code(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    said = RefusalReply(site="", code=RefusalCode.DECLINED_BUDGET)
    verdict = asked.check(said.to_record())
    assert (verdict.outcome, verdict.reason) == ("refused", "declined-budget")
    said = RefusalReply.from_record(verdict.message.content)
    assert (said.site, said.code) == ("north", RefusalCode.DECLINED_BUDGET)


def test_an_error_leaves_without_its_text(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    asked.reply = Message(Error(4, f"<class 'KeyError'>:<'{CANARY}'>"), reply_to=asked.request)
    verdict = asked.check()
    assert verdict.outcome == "failed"
    assert (verdict.message.error.code, verdict.message.error.reason) == (2, ERROR_SENTENCE)


def _extra_group(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays[CANARY] = {"a": np.full(3, NUMBER)}


def _second_array(record: RecordDict) -> None:
    record.array_records[PACKED][CANARY] = Array(np.full(3, NUMBER))


def _longer_flat_array(record: RecordDict) -> None:
    flat = record.array_records[PACKED][PACKED].numpy()
    longer = np.append(flat, np.frombuffer(CANARY.encode(), np.uint8))
    record.array_records[PACKED][PACKED] = Array(longer)


def _longer_manifest(record: RecordDict) -> None:
    header = record.config_records["header"]
    manifest = header["manifest"]
    assert isinstance(manifest, bytes)
    header["manifest"] = manifest + CANARY.encode()


def _noted_manifest(record: RecordDict) -> None:
    header = record.config_records["header"]
    manifest = header["manifest"]
    assert isinstance(manifest, bytes)
    told = json.loads(zlib.decompress(manifest))
    header["manifest"] = zlib.compress(json.dumps({**told, "note": CANARY}).encode())


def _text_array(record: RecordDict) -> None:
    record.array_records[PACKED][PACKED] = Array(np.array([CANARY]))


def _raw_bytes(record: RecordDict) -> None:
    record.array_records[PACKED][PACKED] = Array("uint8", (11,), "raw", CANARY.encode())


def _listed_metric(record: RecordDict) -> None:
    record.metric_records["metrics"]["training_loss"] = [NUMBER, NUMBER]


def _extra_header(record: RecordDict) -> None:
    record.config_records["header"]["note"] = CANARY


def _other_name(record: RecordDict) -> None:
    record.config_records["header"]["message"] = "StatisticsReply"


def _extra_record(record: RecordDict) -> None:
    record[CANARY] = ConfigRecord({})


def _extra_metrics_record(record: RecordDict) -> None:
    record["more"] = MetricRecord({CANARY: NUMBER})


NO_MESSAGE = (
    _extra_group,
    _second_array,
    _longer_flat_array,
    _longer_manifest,
    _noted_manifest,
    _text_array,
    _raw_bytes,
    _listed_metric,
    _extra_header,
    _other_name,
    _extra_record,
    _extra_metrics_record,
)


def test_a_record_that_is_no_message_is_held_back(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    for spoil in NO_MESSAGE:
        content = asked.content()
        spoil(content)
        assert asked.blocked(content) == BlockReason.NOT_A_MESSAGE, spoil.__name__
        assert_quiet(asked.check(content))
    assert asked.check().outcome == "passed"


def test_what_hides_in_order_or_padding_does_not_leave(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    content = asked.content()
    with changing(content) as arrays:
        arrays["weights"] = {name: arrays["weights"][name] for name in reversed(arrays["weights"])}
    header, packed = content.config_records["header"], content.array_records[PACKED]
    manifest, flat = header["manifest"], packed[PACKED]
    assert isinstance(manifest, bytes)
    header["manifest"] = zlib.compress(zlib.decompress(manifest) + b" " * len(CANARY), 1)
    packed[PACKED] = Array(flat.dtype, flat.shape, flat.stype, flat.data + CANARY.encode())
    verdict = asked.check(content)
    assert verdict.outcome == "passed"
    assert_quiet(verdict)
    assert verdict.message.content.object_id == asked.check().message.content.object_id


def test_metadata_carries_nothing(hospital: "Hospital") -> None:
    asked = exchange(hospital, "evaluate")
    plain = asked.reply.metadata.__dict__.copy()
    odd = {
        "_group_id": CANARY,
        "_reply_to_message_id": CANARY,
        "_run_id": 8371,
        "_dst_node_id": 8371,
        "_src_node_id": 8371,
        "_message_type": "query.canary",
        "_ttl": math.inf,
        "_created_at": math.nan,
        "_dst_task_id": 8371,
    }
    for field, value in odd.items():
        asked.reply.metadata.__dict__.update({**plain, field: value})
        verdict = asked.gate.check(asked.request, asked.reply)
        assert (verdict.outcome, verdict.reason) == ("blocked", "envelope"), field
        assert_quiet(verdict)
    asked.reply.metadata.__dict__.update(plain)
    asked.reply.metadata.__dict__["note"] = CANARY
    verdict = asked.gate.check(asked.request, asked.reply)
    assert verdict.outcome == "passed"
    assert CANARY not in repr(verdict.message.metadata)


def test_an_answer_to_another_question_is_held_back(hospital: "Hospital") -> None:
    train, evaluate = (exchange(hospital, kind) for kind in ("train", "evaluate"))
    assert train.blocked(evaluate.content()) == BlockReason.NOT_A_MESSAGE
    assert evaluate.blocked(train.content()) == BlockReason.NOT_A_MESSAGE
    other = hospital.message("query.other", train.request.content)
    verdict = train.gate.check(other, Message(train.content(), reply_to=other))
    assert verdict.reason == BlockReason.MESSAGE_TYPE


def test_under_privacy_nothing_leaves_without_a_reservation_of_its_own(hospital: "Hospital") -> None:
    private(hospital)
    asked = exchange(hospital, "train")
    verdict = asked.check()
    with Ledger(hospital.folder) as ledger:
        entry = ledger.entries()[(verdict.reservation or 0) - 1]
    assert (entry.kind, entry.round, entry.run) == ("reserved", 1, hospital.federation.digest)
    asked.gate = gate_of(hospital)  # for another message: the reservation was there before it
    assert asked.blocked() == BlockReason.LEDGER
    asked.gate = gate_of(hospital, minimum_noise_multiplier=7.0)
    assert asked.blocked() == BlockReason.LEDGER


def test_without_privacy_the_ledger_must_say_so(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    assert asked.check().outcome == "passed"
    asked.gate._ledger = lambda: ()
    assert asked.blocked() == BlockReason.LEDGER


def test_the_gate_asks_the_policy_itself(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    for policy in ({"require_dp": True}, {"tasks": ("survival",)}, {"statistics": ("declared",)}):
        asked.gate = gate_of(hospital, **policy)
        assert asked.blocked() == BlockReason.POLICY


def test_a_gate_that_fails_is_shut(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")

    def broken() -> tuple[Entry, ...]:
        raise OSError(CANARY)

    asked.gate._ledger = broken
    assert asked.blocked() == BlockReason.GATE_FAILED
    assert_quiet(asked.check())


SCALARS = st.one_of(
    st.integers(-(2**62), 2**62), st.floats(), st.text(max_size=8), st.booleans(), st.binary(max_size=8)
)
NAMES = st.sampled_from(["header", PACKED, "patients", "metrics", "withheld", CANARY])
HEADERS = st.sampled_from(["message", "site", "round", "patients", "code", CANARY])
TEXTS = st.sampled_from(["TrainReply", "RefusalReply", "north", CANARY, "gate-blocked", "internal"])
RECORDS = st.one_of(
    st.dictionaries(HEADERS, TEXTS | SCALARS, max_size=4).map(lambda found: ConfigRecord(dict(found))),
    st.dictionaries(st.text(max_size=12), st.floats() | st.lists(st.floats(), max_size=3), max_size=4).map(
        lambda found: MetricRecord(dict(found))
    ),
    st.dictionaries(st.text(max_size=12), st.lists(st.floats(width=32), max_size=5), max_size=3).map(
        lambda found: ArrayRecord({name: Array(np.array(row, np.float32)) for name, row in found.items()})
    ),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=st.dictionaries(NAMES, RECORDS, max_size=5), kind=st.sampled_from(KINDS))
def test_no_made_up_record_leaves(hospital: "Hospital", records: dict[str, Any], kind: str) -> None:
    """Any records at all: what leaves is a refusal with a code that the app itself could have given."""
    request = hospital.message(kind, StatisticsRequest(federation="0" * 64, fold=-1).to_record())
    verdict = gate_of(hospital).check(request, Message(RecordDict(records), reply_to=request))
    assert verdict.outcome in ("blocked", "refused")
    said = RefusalReply.from_record(verdict.message.content)
    assert said.site == "north"
    assert_quiet(verdict)


@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_changed_reply_leaves_with_more_than_it_had(training: Exchange, data: st.DataObject) -> None:
    """A real reply with records, names and values added, taken away or exchanged."""
    content = training.content()
    name = data.draw(st.sampled_from(sorted(content)))
    how = data.draw(st.sampled_from(["drop", "exchange", "add", "key"]))
    if how == "drop":
        content.pop(name)
    elif how == "exchange":
        content[name] = data.draw(RECORDS)
    elif how == "add":
        content[data.draw(st.text(min_size=1, max_size=9))] = data.draw(RECORDS)
    elif name == "header":
        content.config_records[name][data.draw(HEADERS)] = data.draw(TEXTS | SCALARS)
    elif name == PACKED:
        content.array_records[name][data.draw(st.text(max_size=9))] = Array(np.zeros(2, np.float32))
    else:
        content.metric_records[name][data.draw(st.text(max_size=9))] = data.draw(st.floats())
    verdict = training.check(content)
    if verdict.outcome == "passed" and verdict.message.content["metrics"]:  # what was drawn is what was there
        assert verdict.message.content.object_id == training.check().message.content.object_id
    assert_quiet(verdict)


@pytest.fixture
def training(hospital: "Hospital") -> Exchange:
    return exchange(hospital, "train")


@pytest.mark.parametrize(
    ("kind", "changes", "objected"),
    [
        ("train", {}, False),
        ("train", {"fold": 0}, True),
        ("train", {"round": 0}, True),
        ("train", {"round": 31}, True),
        ("evaluate", {"round": 31}, False),
        ("evaluate", {"round": 32}, True),
        ("evaluate", {"fold": 2}, True),
    ],
)
def test_a_coordinator_chooses_neither_patients_nor_rounds(
    hospital: "Hospital", kind: str, changes: dict[str, int], objected: bool
) -> None:
    content = hospital.request().model_copy(update=changes).to_record()
    request = hospital.message(kind, content)
    expected = RefusalCode.REQUEST_INVALID if objected else None
    assert gate_of(hospital).objection(request) is expected


@pytest.mark.parametrize(("fold", "objected"), [(-1, False), (0, True), (2, True)])
def test_nor_does_it_choose_patients_for_statistics(hospital: "Hospital", fold: int, objected: bool) -> None:
    content = StatisticsRequest(federation=hospital.federation.digest, fold=fold).to_record()
    found = gate_of(hospital).objection(hospital.message("query.statistics", content))
    assert found is (RefusalCode.REQUEST_INVALID if objected else None)
    assert gate_of(hospital).objection(hospital.message("train", RecordDict())) is RefusalCode.REQUEST_INVALID


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("fold", 0, BlockReason.HELD_OUT),
        ("round", 0, BlockReason.WRONG_ROUND),
        ("round", 1000, BlockReason.WRONG_ROUND),
    ],
)
def test_an_answer_that_was_given_all_the_same_is_held_back(
    hospital: "Hospital", field: str, value: int, reason: BlockReason
) -> None:
    asked = exchange(hospital, "train")
    asked.request.content.config_records["header"][field] = value
    content = asked.content()
    if field == "round":
        content.config_records["header"]["round"] = value
    assert asked.blocked(content) == reason


def test_the_gate_starts_without_torch() -> None:
    code = "import sys, client.egress.gate; sys.exit('torch' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
