from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from common.agreement.settings import Wire
from common.errors import RefusalCode
from common.messages.compression import encode
from common.messages.exchange import (
    PACKED,
    EvaluateReply,
    InvalidMessageError,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
    UpdateReply,
    is_refusal,
    read_training,
)
from common.messages.packing import Arrays, pack
from common.patients.preprocessing import Preprocessing, pack_preprocessing, unpack_preprocessing
from simulations.engines import flower_internals as wire
from simulations.engines.flower_internals import acting_as_coordinator, name_message, new_run
from tests.packed import changing

CANARY = "CANARY-8371"
WEIGHTS: Arrays = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.zeros(0, np.float32),
}
MESSAGES: dict[str, Any] = {
    "StatisticsRequest": StatisticsRequest(federation="f" * 64, fold=-1),
    "StatisticsReply": StatisticsReply(
        site="Spital Köniz",
        patients=31,
        moments={"modality:rna": np.array([[3.0], [1 / 3], [1e300]])},
        withheld={"modality:rna": 1.0},
    ),
    "ModelRequest": ModelRequest(
        federation="f" * 64,
        round=3,
        fold=0,
        seed=7,
        weights=WEIGHTS,
        preprocessing={"center:rna": np.ones(2, np.float32)},
    ),
    "EvaluateReply": EvaluateReply(
        site="one", round=2, metrics={"validation_loss": 1 / 3, "x": float("nan")}
    ),
    "TrainReply": TrainReply(
        site="one", round=2, weights=WEIGHTS, patients={"patients": 12.0}, metrics={"training_loss": 0.25}
    ),
    "UpdateReply": UpdateReply(
        site="one",
        round=2,
        update={"positions": np.arange(5, dtype=np.uint8), "values": np.array([0.5, -2], np.float16)},
        patients={"patients": 12.0},
        metrics={"training_loss": 0.25},
    ),
    "RefusalReply": RefusalReply(site="one", code=RefusalCode.TRAINING_DIVERGED),
}
EVERY_MESSAGE = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)


def assert_same(first: Any, second: Any) -> None:
    assert type(first) is type(second)
    for name in type(first).model_fields:
        ours, theirs = getattr(first, name), getattr(second, name)
        if name in first.arrays:
            assert set(ours) == set(theirs)
            for key, array in ours.items():
                assert (array.dtype, array.shape) == (theirs[key].dtype, theirs[key].shape)
                np.testing.assert_array_equal(array, theirs[key])
        else:
            np.testing.assert_equal(ours, theirs)


@pytest.fixture(autouse=True)
def _coordinator() -> Iterator[None]:
    with acting_as_coordinator(new_run({})):
        yield


@EVERY_MESSAGE
def test_a_message_survives_its_record(message: Any) -> None:
    assert_same(type(message).from_record(message.to_record()), message)


@EVERY_MESSAGE
def test_a_message_survives_flowers_wire_format(message: Any) -> None:
    sent = Message(message.to_record(), 7, "train")
    name_message(sent, "1")
    assert_same(type(message).from_record(wire.inflate(wire.deflate(sent)).content), message)


@EVERY_MESSAGE
def test_a_message_is_no_other_message(message: Any) -> None:
    for other in MESSAGES.values():
        if other is not message:
            with pytest.raises(InvalidMessageError):
                type(other).from_record(message.to_record())
    assert is_refusal(message.to_record()) == isinstance(message, RefusalReply)


@EVERY_MESSAGE
def test_a_record_is_exactly_header_arrays_and_numbers(message: Any) -> None:
    record = message.to_record()
    arrays = {PACKED} if message.arrays else set()
    assert set(record) == {"header", *arrays, *message.numbers}
    assert set(record.config_records) == {"header"}
    assert {name: set(packed) for name, packed in record.array_records.items()} == {
        name: {PACKED} for name in arrays
    }
    assert set(record.metric_records) == set(message.numbers)


def header(**changes: Any) -> Callable[[RecordDict], None]:
    return lambda record: record.config_records["header"].update(changes)


def put(name: str, part: Any) -> Callable[[RecordDict], None]:
    return lambda record: record.update({name: part})


def drop(name: str) -> Callable[[RecordDict], None]:
    def change(record: RecordDict) -> None:
        del record[name]

    return change


def broken_array(content: bytes, kind: str = "numpy.ndarray") -> Callable[[RecordDict], None]:
    return put(PACKED, ArrayRecord({PACKED: Array("uint8", (24,), kind, content)}))


def repacked(change: Callable[[dict[str, Arrays]], object]) -> Callable[[RecordDict], None]:
    def spoil(record: RecordDict) -> None:
        with changing(record) as arrays:
            change(arrays)

    return spoil


SPOILT: dict[str, Callable[[RecordDict], object]] = {
    "nothing in it": lambda record: record.clear(),
    "no header": drop("header"),
    "header of another kind": put("header", MetricRecord({"round": 1})),
    "another type's name": header(message=CANARY),
    "no type's name": lambda record: record.config_records["header"].pop("message"),
    "extra key in the header": header(note=CANARY),
    "missing key in the header": lambda record: record.config_records["header"].pop("round"),
    "text for a number": header(round="3"),
    "fraction for a number": header(round=3.0),
    "truth for a number": header(round=True),
    "list for a number": header(round=[1, 2]),
    "bytes for text": header(site=CANARY.encode()),
    "number for text": header(site=98765.4321),
    "negative round": header(round=-1),
    "missing arrays": drop(PACKED),
    "no manifest": lambda record: record.config_records["header"].pop("manifest"),
    "text for a manifest": header(manifest=CANARY),
    "a manifest that is none": header(manifest=CANARY.encode()),
    "the manifest of other arrays": header(manifest=pack({"weights": {"a": np.zeros(6, np.float32)}})[1]),
    "arrays of a field less": repacked(lambda arrays: arrays.pop("weights")),
    "arrays of a field more": repacked(lambda arrays: arrays.update({CANARY: {}})),
    "arrays of the header": repacked(lambda arrays: arrays.update({"site": {}})),
    "arrays under another name": lambda record: record.update(
        {PACKED: ArrayRecord({CANARY: record.array_records[PACKED][PACKED]})}
    ),
    "a second array": lambda record: record.array_records[PACKED].update({CANARY: Array(np.ones(1))}),
    "missing numbers": drop("metrics"),
    "arrays in place of numbers": put("metrics", ArrayRecord({CANARY: Array(np.ones(1))})),
    "numbers in place of arrays": put(PACKED, MetricRecord({CANARY: 1.0})),
    "text in place of numbers": put("metrics", ConfigRecord({CANARY: CANARY})),
    "a list among the numbers": put("metrics", MetricRecord({CANARY: [98765.4321, 1.0]})),
    "an extra array record": put(CANARY, ArrayRecord({"a": Array(np.ones(1))})),
    "an extra config record": put("error", ConfigRecord({"traceback": CANARY})),
    "an array without bytes": broken_array(b""),
    "an array of other bytes": broken_array(CANARY.encode()),
    "an array that is an archive": broken_array(b"PK\x03\x04" + CANARY.encode()),
    "an array that is a pickle": broken_array(b"\x80\x04\x95" + CANARY.encode()),
    "an array cut short": broken_array(Array(pack({"weights": WEIGHTS})[0]).data[:-3]),
    "an array of another library": broken_array(b"", "torch.Tensor"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_spoilt_record_is_refused_without_a_word_of_its_content(case: str) -> None:
    record = MESSAGES["TrainReply"].to_record()
    SPOILT[case](record)
    with pytest.raises(InvalidMessageError) as raised:
        TrainReply.from_record(record)
    assert "TrainReply" in str(raised.value)
    assert not any(canary in str(raised.value) for canary in (CANARY, "98765", raised.value.reason))
    assert raised.value.reason
    assert not any(canary in raised.value.reason for canary in (CANARY, "98765", "traceback"))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@pytest.mark.parametrize(
    ("case", "field"),
    [
        ("another type's name", "header"),
        ("missing arrays", PACKED),
        ("missing numbers", "metrics"),
        ("missing key in the header", "round"),
        ("text for a number", "round"),
        ("bytes for text", "site"),
        ("arrays of a field less", "weights"),
        ("a manifest that is none", "manifest"),
    ],
)
def test_the_readers_own_log_learns_which_field_does_not_fit(case: str, field: str) -> None:
    record = MESSAGES["TrainReply"].to_record()
    SPOILT[case](record)
    with pytest.raises(InvalidMessageError) as raised:
        TrainReply.from_record(record)
    assert field in raised.value.reason.split()


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("StatisticsRequest", {"fold": -2}),
        ("StatisticsRequest", {"seed": -1}),
        ("ModelRequest", {"fold": -2}),
        ("ModelRequest", {"seed": -1}),
        ("StatisticsReply", {"patients": -1}),
        ("RefusalReply", {"code": "because of patient 4711"}),
        ("RefusalReply", {"reason": "because of patient 4711"}),
    ],
)
def test_header_values_outside_their_range(kind: str, changes: dict[str, Any]) -> None:
    record = MESSAGES[kind].to_record()
    record.config_records["header"].update(changes)
    with pytest.raises(InvalidMessageError) as refused:
        type(MESSAGES[kind]).from_record(record)
    assert kind in str(refused.value)
    assert "4711" not in str(refused.value)


def test_a_refusal_carries_its_site_and_code_and_nothing_else() -> None:
    record = RefusalReply(site="one", code=RefusalCode.INTERNAL).to_record()
    assert set(record) == {"header"}
    assert dict(record.config_records["header"]) == {
        "message": "RefusalReply",
        "site": "one",
        "code": "internal",
    }


def test_what_is_read_is_not_tied_to_what_was_sent() -> None:
    weights: Arrays = {"a": np.ones(3, np.float32)}
    record = TrainReply(site="one", round=1, weights=weights, patients={}, metrics={}).to_record()
    weights["a"][:] = 9
    assert TrainReply.from_record(record).weights["a"].tolist() == [1, 1, 1]


def test_statistics_come_back_as_preprocessing_takes_them() -> None:
    found = MESSAGES["StatisticsReply"].statistics
    assert found.moments["modality:rna"].dtype == np.float64
    assert found.moments["modality:rna"].tolist() == [[3.0], [1 / 3], [1e300]]
    assert found.withheld == {"modality:rna": 1}


def test_preprocessing_survives_packing() -> None:
    first = Preprocessing(
        {"rna": torch.tensor([1.5, -2.0]), "ct": torch.zeros(0)},
        {"rna": torch.tensor([0.1, 1e-9]), "ct": torch.ones(0)},
        {"survival": torch.tensor([1.0, 2.0])},
    )
    packed = pack_preprocessing(first)
    assert set(packed) == {"center:rna", "center:ct", "spread:rna", "spread:ct", "cuts:survival"}
    again = unpack_preprocessing(packed)
    for part in ("center", "spread", "cuts"):
        ours, theirs = getattr(first, part), getattr(again, part)
        assert list(ours) == list(theirs)
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name])
            assert theirs[name].dtype == torch.float32


def test_no_preprocessing_for_a_federation_without_survival() -> None:
    assert unpack_preprocessing(pack_preprocessing(Preprocessing({}, {}, {}))) == Preprocessing({}, {}, {})


HALF, INTEGERS, LARGEST = Wire(update="float16"), Wire(update="int8"), Wire(update="top-k", share=0.5)


def update_reply(change: np.ndarray, wire_: Wire, before: dict[str, np.ndarray]) -> UpdateReply:
    shapes = {name: array.shape for name, array in before.items()}
    reply: UpdateReply = MESSAGES["UpdateReply"]
    return reply.model_copy(update={"update": encode(change, wire_, shapes)})


@pytest.mark.parametrize("agreed", [HALF, INTEGERS, LARGEST], ids=lambda agreed: agreed.update)
def test_an_update_is_read_as_the_weights_it_makes(agreed: Wire) -> None:
    before = {"b.weight": np.array([[-0.0, 1.0]], np.float32), "a.bias": np.array([2.0, -3.0], np.float32)}
    change = np.array([0.5, 0, 0, -0.25], np.float32)  # of a.bias, then of b.weight
    read = read_training(update_reply(change, agreed, before).to_record(), before, agreed)
    assert (read.site, read.round, read.patients) == ("one", 2, {"patients": 12.0})
    assert read.metrics == {"training_loss": 0.25}
    np.testing.assert_array_equal(read.weights["a.bias"], [2.5, -3.0])
    np.testing.assert_array_equal(read.weights["b.weight"], [[-0.0, 0.75]])
    assert all(array.dtype == np.float32 for array in read.weights.values())
    assert np.signbit(read.weights["b.weight"][0, 0]), "what does not change stays, bit by bit"


def test_only_the_agreements_form_of_a_trained_model_is_read() -> None:
    before = {"a": np.ones(4, np.float32)}
    change = np.full(4, 0.5, np.float32)
    records = {
        wire_.update: update_reply(change, wire_, before).to_record() for wire_ in (HALF, INTEGERS, LARGEST)
    }
    records["float32"] = MESSAGES["TrainReply"].model_copy(update={"weights": before}).to_record()
    for agreed in (Wire(), HALF, INTEGERS, LARGEST):
        for name, record in records.items():
            if name == agreed.update:
                assert read_training(record, before, agreed).site == "one"
            else:
                with pytest.raises(InvalidMessageError):
                    read_training(record, before, agreed)
    with pytest.raises(InvalidMessageError) as refused:  # of another model
        read_training(records["int8"], {"a": np.ones(5, np.float32)}, INTEGERS)
    assert INTEGERS.update in str(refused.value)


def test_an_update_beyond_all_numbers_is_told_from_its_weights(recwarn: pytest.WarningsRecorder) -> None:
    most = np.full(4, np.finfo(np.float32).max)
    read = update_reply(most, INTEGERS, {"a": most}).applied({"a": most}, INTEGERS)
    assert np.isinf(read.weights["a"]).all()
    assert not recwarn
