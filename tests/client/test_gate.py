"""Only messages of the approved types leave, with the agreement's own names, shapes and counts; else a refusal does."""

import json
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from client.app import app
from client.gate import ERROR_SENTENCE, Gate, Verdict
from client.ledger import LEDGER, Ledger
from client.ledger_chain import Entry
from client.outgoing import BlockReason
from client.policy import Policy
from common.errors import RefusalCode
from common.exchange import (
    PACKED,
    EvaluateReply,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
)
from common.federation import Privacy, save
from common.model import build_model
from common.privacy_plan import with_privacy
from common.schema import Plausible
from simulations.flower_internals import acting_as, name_message, pack, unpack
from tests.packed import arrays_of, changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PRIVACY = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6, steps=2, learn="all")
CANARY = "CANARY-8371"
NUMBER = 98765.4321


@dataclass(repr=False)
class Exchange:
    """A request, the app's real reply to it, and the gate that stood there in between."""

    hospital: "Hospital"
    gate: Gate
    request: Message
    reply: Message

    def check(self, content: RecordDict | None = None) -> Verdict:
        """The verdict on the app's reply, or on another content in its place, over Flower's wire format."""
        reply = self.reply if content is None else Message(content, reply_to=self.request)
        name_message(reply, "2")
        return self.gate.check(self.request, unpack(pack(reply)))

    def content(self) -> RecordDict:
        """The app's content, to be spoilt."""
        return unpack(pack(self.reply)).content

    def blocked(self, content: RecordDict | None = None) -> BlockReason:
        """Why it is held back; what leaves is then the refusal, and nothing of the content."""
        verdict = self.check(content)
        assert verdict.outcome == "blocked"
        said = RefusalReply.from_record(verdict.message.content)
        assert (said.site, said.code) == ("north", RefusalCode.GATE_BLOCKED)
        return BlockReason(verdict.reason)


def entries_of(hospital: "Hospital") -> Callable[[], tuple[Entry, ...]]:
    def read() -> tuple[Entry, ...]:
        if not (hospital.folder / LEDGER).exists():
            return ()
        with Ledger(hospital.folder) as ledger:
            return ledger.entries()

    return read


def gate_of(hospital: "Hospital", **policy: Any) -> Gate:
    state = build_model(hospital.federation, hospital.folder, seed=0).state_dict()
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    return Gate(hospital.federation, Policy(**policy), "north", shapes, entries_of(hospital))


def exchange(hospital: "Hospital", kind: str, **policy: Any) -> Exchange:
    statistics = StatisticsRequest(federation=hospital.federation.digest, fold=-1)
    content = (statistics if kind == "query.statistics" else hospital.request()).to_record()
    request, gate = hospital.message(kind, content), gate_of(hospital, **policy)
    with acting_as(hospital.run.run_id, 41, 1):
        return Exchange(hospital, gate, request, app(message=request, context=hospital.context))


def private(hospital: "Hospital", **changes: Any) -> "Hospital":
    clinical, rna = hospital.federation.modalities
    ranges = {**clinical.ranges, "crp": Plausible(low=0, high=500)}
    modalities = (clinical.model_copy(update={"ranges": ranges}), rna)
    agreed = hospital.federation.model_copy(update={"modalities": modalities})
    hospital.federation = with_privacy(agreed, PRIVACY.model_copy(update=changes))
    save(hospital.federation, hospital.folder / "federation.toml")
    return hospital


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


# one entry: what is done to the app's reply to a training request, and the word it is held back with
NAME = "heads.response.weight"


def _extra_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][CANARY] = np.zeros(3, dtype=np.float32)


def _renamed_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][CANARY] = arrays["weights"].pop(NAME)


def _missing_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"].pop(NAME)


def _extra_group(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays[CANARY] = {"a": np.full(3, NUMBER)}


def _longer_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        longer = np.append(arrays["weights"][NAME], np.float32(NUMBER))
        arrays["weights"][NAME] = longer.astype(np.float32)


def _wide_array(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][NAME] = arrays["weights"][NAME].astype(np.float64)


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


def _not_a_number(record: RecordDict) -> None:
    with changing(record) as arrays:
        arrays["weights"][NAME].flat[0] = np.nan


def _text_array(record: RecordDict) -> None:
    record.array_records[PACKED][PACKED] = Array(np.array([CANARY]))


def _raw_bytes(record: RecordDict) -> None:
    record.array_records[PACKED][PACKED] = Array("uint8", (11,), "raw", CANARY.encode())


def _extra_metric(record: RecordDict) -> None:
    record.metric_records["metrics"][CANARY] = NUMBER


def _listed_metric(record: RecordDict) -> None:
    record.metric_records["metrics"]["training_loss"] = [NUMBER, NUMBER]


def _infinite_metric(record: RecordDict) -> None:
    record.metric_records["metrics"]["training_loss"] = math.inf


def _few_validated(record: RecordDict) -> None:
    record.metric_records["metrics"]["validation_patients"] = 1.0


def _half_a_metric(record: RecordDict) -> None:
    record.metric_records["metrics"].pop("validation_squares")


def _few_patients(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.toxicity"] = 1.0


def _part_of_a_patient(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.toxicity"] = 5.5


def _unknown_group(record: RecordDict) -> None:
    record.metric_records["patients"][CANARY] = 5.0


def _nobody(record: RecordDict) -> None:
    record.metric_records["patients"]["patients"] = 0.0


def _extra_header(record: RecordDict) -> None:
    record.config_records["header"]["note"] = CANARY


def _other_site(record: RecordDict) -> None:
    record.config_records["header"]["site"] = CANARY


def _other_round(record: RecordDict) -> None:
    record.config_records["header"]["round"] = 8371


def _other_name(record: RecordDict) -> None:
    record.config_records["header"]["message"] = "StatisticsReply"


def _extra_record(record: RecordDict) -> None:
    record[CANARY] = ConfigRecord({})


def _extra_metrics_record(record: RecordDict) -> None:
    record["more"] = MetricRecord({CANARY: NUMBER})


def _untrained_but_changed(record: RecordDict) -> None:
    record.metric_records["patients"]["heads.response"] = 0.0


SPOILT = {
    _extra_array: BlockReason.ARRAY_NAMES,
    _renamed_array: BlockReason.ARRAY_NAMES,
    _missing_array: BlockReason.ARRAY_NAMES,
    _longer_array: BlockReason.ARRAY_FORM,
    _wide_array: BlockReason.ARRAY_FORM,
    _extra_group: BlockReason.NOT_A_MESSAGE,
    _second_array: BlockReason.NOT_A_MESSAGE,
    _longer_flat_array: BlockReason.NOT_A_MESSAGE,
    _longer_manifest: BlockReason.NOT_A_MESSAGE,
    _noted_manifest: BlockReason.NOT_A_MESSAGE,
    _text_array: BlockReason.NOT_A_MESSAGE,
    _raw_bytes: BlockReason.NOT_A_MESSAGE,
    _not_a_number: BlockReason.NOT_FINITE,
    _extra_metric: BlockReason.METRICS,
    _listed_metric: BlockReason.NOT_A_MESSAGE,
    _infinite_metric: BlockReason.NOT_FINITE,
    _few_validated: BlockReason.COUNT,
    _half_a_metric: BlockReason.METRICS,
    _few_patients: BlockReason.COUNT,
    _part_of_a_patient: BlockReason.COUNT,
    _unknown_group: BlockReason.METRICS,
    _nobody: BlockReason.COUNT,
    _extra_header: BlockReason.NOT_A_MESSAGE,
    _other_site: BlockReason.WRONG_SITE,
    _other_round: BlockReason.WRONG_ROUND,
    _other_name: BlockReason.NOT_A_MESSAGE,
    _extra_record: BlockReason.NOT_A_MESSAGE,
    _extra_metrics_record: BlockReason.NOT_A_MESSAGE,
    _untrained_but_changed: BlockReason.UNTRAINED_CHANGED,
}


def test_a_reply_with_anything_else_in_it_is_held_back(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    for spoil, reason in SPOILT.items():
        content = asked.content()
        spoil(content)
        assert asked.blocked(content) == reason, spoil.__name__
        assert_quiet(asked.check(content))
    assert asked.check().outcome == "passed"


def assert_quiet(verdict: Verdict) -> None:
    """Neither the name nor the number is on the wire, as text or as a number of 4 or 8 bytes."""
    name_message(verdict.message, "3")
    _, _, parts = pack(verdict.message)
    wire = b"".join(parts.values())
    signs = [struct.pack(kind, NUMBER) for kind in ("<f", "<d", ">f", ">d")]
    assert not any(sign in wire for sign in (CANARY.encode(), str(NUMBER).encode(), *signs))


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


def test_an_update_beyond_the_policys_norm_stays(hospital: "Hospital") -> None:
    norm = exchange(hospital, "train").check().update_norm
    assert norm is not None
    assert norm > 0
    assert exchange(hospital, "train", maximum_update_norm=norm / 2).blocked() == BlockReason.UPDATE_NORM
    assert exchange(hospital, "train", maximum_update_norm=norm * 2).check().outcome == "passed"


def test_the_norm_is_that_of_the_difference(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    before, after = (arrays_of(part.content)["weights"] for part in (asked.request, asked.reply))
    flat = [(after[name].astype(float) - before[name]).ravel() for name in after]
    assert asked.check().update_norm == pytest.approx(np.linalg.norm(np.concatenate(flat)))


def test_pairs_of_few_patients_are_not_told(hospital: "Hospital") -> None:
    asked = exchange(hospital, "evaluate")
    content = asked.content()
    metrics = content.metric_records["metrics"]
    metrics["concordant:response"], metrics["comparable:response"] = 1.0, 1.0
    verdict = asked.check(content)
    assert (verdict.outcome, verdict.suppressed) == ("passed", ("response",))
    sent = verdict.message.content.metric_records["metrics"]
    assert (sent["concordant:response"], sent["comparable:response"]) == (0.0, 0.0)


def _moment(content: RecordDict, row: int, column: int, number: float) -> None:
    name = "modality:clinical"
    with changing(content) as arrays:
        arrays["moments"][name][row, column] = number


@pytest.mark.parametrize(
    ("row", "column", "number"),
    [(0, 0, 1.0), (0, 0, 7.5), (0, 0, 1e6), (0, 0, -1.0), (2, 0, -1.0), (0, 0, 0.0)],
)
def test_sums_over_few_patients_stay(hospital: "Hospital", row: int, column: int, number: float) -> None:
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    _moment(content, row, column, number)
    assert asked.blocked(content) == BlockReason.COUNT


def test_a_category_with_one_patient_stays(hospital: "Hospital") -> None:
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    for row in (1, 2):
        _moment(content, row, 2, 1.0)
    assert asked.blocked(content) == BlockReason.COUNT


def test_statistics_of_too_few_or_miscounted_stay(hospital: "Hospital") -> None:
    asked = exchange(hospital, "query.statistics")
    few = asked.content()
    few.config_records["header"]["patients"] = 1
    assert asked.blocked(few) == BlockReason.COUNT
    miscounted = asked.content()
    miscounted.metric_records["withheld"]["modality:clinical"] = 3.0
    assert asked.blocked(miscounted) == BlockReason.METRICS


@pytest.mark.parametrize("statistics", ["declared", "noised"])
def test_under_privacy_no_number_of_patients_leaves(hospital: "Hospital", statistics: str) -> None:
    private(hospital, statistics=statistics)
    asked = exchange(hospital, "query.statistics")
    content = asked.content()
    content.config_records["header"]["patients"] = 12
    assert asked.blocked(content) == BlockReason.COUNT
    asked = exchange(hospital, "train")
    content = asked.content()
    content.metric_records["patients"]["patients"] = 12.0
    assert asked.blocked(content) == BlockReason.COUNT
    content = asked.content()
    content.metric_records["metrics"]["training_loss"] = NUMBER
    assert asked.blocked(content) == BlockReason.METRICS


def test_under_privacy_what_is_not_trained_stays_as_it_was(hospital: "Hospital") -> None:
    private(hospital, learn="linear")
    asked = exchange(hospital, "train")
    assert asked.check().outcome == "passed"
    content = asked.content()
    with changing(content) as arrays:
        arrays["weights"][NAME].flat[0] += 1
    assert asked.blocked(content) == BlockReason.UNTRAINED_CHANGED


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
    asked.gate = Gate(hospital.federation, Policy(), "north", asked.gate._weights, lambda: ())
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


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=st.dictionaries(NAMES, RECORDS, max_size=5), kind=st.sampled_from(KINDS))
def test_no_made_up_record_leaves(hospital: "Hospital", records: dict[str, Any], kind: str) -> None:
    """Any records at all: what leaves is a refusal with a code that the app itself could have given."""
    request = hospital.message(kind, StatisticsRequest(federation="0" * 64, fold=-1).to_record())
    verdict = gate_of(hospital).check(request, Message(RecordDict(records), reply_to=request))
    assert verdict.outcome in ("blocked", "refused")
    said = RefusalReply.from_record(verdict.message.content)
    assert said.site == "north"
    assert_quiet(verdict)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
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
    if verdict.outcome == "passed":  # what was drawn is what was there
        assert verdict.message.content.object_id == training.check().message.content.object_id
    assert_quiet(verdict)


@pytest.fixture
def training(hospital: "Hospital") -> Exchange:
    return exchange(hospital, "train")
