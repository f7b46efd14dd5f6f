"""Messages spoilt in every way that once was tried against the gate, over Flower's wire form."""

import json
import math
import struct
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from common.errors import RefusalCode
from common.messages.exchange import PACKED
from tests.attacks.attack_table import AttackRow
from tests.client.egress.gate_case import Exchange, exchange, private
from tests.packed import changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

Spoil = Callable[[RecordDict], None]
BLOCKED, SAME = "blocked", "leaves as the honest form"
ABSENT = "branches.rna.token.bias"
SCORES = "branches.rna.scores.survival.weight"
TRAINED = "patient.bias"


def weights(change: Callable[[dict[str, Any]], object], group: str = "weights") -> Spoil:
    def spoil(content: RecordDict) -> None:
        with changing(content) as arrays:
            for name, array in arrays[group].items():
                arrays[group][name] = array.copy()
            change(arrays[group])

    return spoil


def entry(name: str, change: Callable[[Any], Any]) -> Spoil:
    return weights(lambda arrays: arrays.update({name: change(arrays[name])}))


def moments(change: Callable[[Any], Any], name: str = "modality:clinical") -> Spoil:
    return weights(lambda arrays: arrays.update({name: change(arrays[name].copy())}), "moments")


def cell(row: int, column: int, value: float) -> Spoil:
    def change(sums: Any) -> Any:
        sums[row, column] = value
        return sums

    return moments(change)


def metric(record: str, **values: float | list[float]) -> Spoil:
    return named(record, values)


def named(record: str, values: dict[str, Any]) -> Spoil:
    def spoil(content: RecordDict) -> None:
        content[record] = MetricRecord({**dict(content.metric_records[record]), **values})

    return spoil


def header(**values: Any) -> Spoil:
    return lambda content: content.config_records["header"].update(values)


def record(name: str, part: Any) -> Spoil:
    return lambda content: content.update({name: part})


def manifest(change: Callable[[dict[str, Any]], dict[str, Any] | bytes]) -> Spoil:
    def spoil(content: RecordDict) -> None:
        head = content.config_records["header"]
        packed = head["manifest"]
        assert isinstance(packed, bytes)
        changed = change(json.loads(zlib.decompress(packed)))
        plain = changed if isinstance(changed, bytes) else json.dumps(changed, separators=(",", ":")).encode()
        head["manifest"] = zlib.compress(plain, 9)

    return spoil


def packed_manifest(change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(content: RecordDict) -> None:
        head = content.config_records["header"]
        packed = head["manifest"]
        assert isinstance(packed, bytes)
        head["manifest"] = change(packed)

    return spoil


def flat(change: Callable[[Any], Array]) -> Spoil:
    def spoil(content: RecordDict) -> None:
        content[PACKED] = ArrayRecord({PACKED: change(content.array_records[PACKED][PACKED])})

    return spoil


def lie(dtype: str, shape: tuple[int, ...], stype: str) -> Spoil:
    return flat(lambda array: Array(dtype, shape, stype, array.data))


def refusal(**values: Any) -> Spoil:
    def spoil(content: RecordDict) -> None:
        for name in list(content):
            del content[name]
        fields = {"message": "RefusalReply", "site": "north", "code": "internal", **values}
        content["header"] = ConfigRecord(fields)

    return spoil


def with_duplicate(tree: dict[str, Any]) -> bytes:
    return json.dumps(tree).replace('"sha256"', '"arrays": {"leak": 1}, "sha256"', 1).encode()


NAN = struct.pack("<I", 0x7FC0BEEF)
TRAIN: dict[str, tuple[Spoil, str]] = {
    "extra array": (weights(lambda a: a.update(leak=np.zeros(1, np.float32))), BLOCKED),
    "array missing": (weights(lambda a: a.pop(TRAINED)), BLOCKED),
    "float64": (weights(lambda a: a.update({k: v.astype(np.float64) for k, v in a.items()})), BLOCKED),
    "other shape": (entry("heads.response.weight", np.ravel), BLOCKED),
    "NaN payload": (entry(TRAINED, lambda a: np.frombuffer(NAN * a.size, np.float32)), BLOCKED),
    "infinite": (entry(TRAINED, lambda a: a + np.float32(np.inf)), BLOCKED),
    "3e38 in a trained parameter": (entry(TRAINED, lambda a: a * 0 + np.float32(3e38)), BLOCKED),
    "a patient's age in a trained parameter": (entry(TRAINED, lambda a: a * 0 + np.float32(64.1)), BLOCKED),
    "untrained module changed by 1 ulp": (entry(ABSENT, lambda a: np.nextafter(a, np.float32(9))), BLOCKED),
    "untrained module with -0": (entry(ABSENT, lambda a: -np.zeros_like(a)), BLOCKED),
    "patients of an absent modality": (named("patients", {"branches.rna": 9.0}), BLOCKED),
    "patients of an absent modality's scores": (
        named("patients", {"branches.rna.scores.survival": 9.0}),
        BLOCKED,
    ),
    "extra metric": (named("metrics", {"age:p0": 64.1}), BLOCKED),
    "training loss NaN": (metric("metrics", training_loss=math.nan), BLOCKED),
    "validation patients 10**15+7": (metric("metrics", validation_patients=10.0**15 + 7), BLOCKED),
    "validation patients of an age": (metric("metrics", validation_patients=64.0), BLOCKED),
    "validation patients 2": (metric("metrics", validation_patients=2.0), BLOCKED),
    "concordant beyond comparable": (named("metrics", {"concordant:survival": 1e9}), BLOCKED),
    "comparable beyond all pairs": (
        named("metrics", {"comparable:survival": 64.0, "concordant:survival": 1.0}),
        BLOCKED,
    ),
    "patients 10**15": (metric("patients", patients=1e15), BLOCKED),
    "patients 8, a number of its own": (metric("patients", patients=8.0), BLOCKED),
    "patients 5.5": (metric("patients", patients=5.5), BLOCKED),
    "patients of a head 1": (named("patients", {"heads.survival": 1.0}), BLOCKED),
    "patients as list": (metric("patients", patients=[9.0, 64.1]), BLOCKED),
    "metrics record replaced": (record("metrics", ConfigRecord({"training_loss": 1.0})), BLOCKED),
    "extra record": (record("extra", ConfigRecord({"a": "p0 is 64"})), BLOCKED),
    "second array record": (record("more", ArrayRecord({"a": Array(np.zeros(1, np.float32))})), BLOCKED),
    "header extra key": (header(note="p0"), BLOCKED),
    "header other site": (header(site="two"), BLOCKED),
    "header site with zero width": (header(site="north\u200b"), BLOCKED),
    "header round 2": (header(round=2), BLOCKED),
    "header round True": (header(round=True), BLOCKED),
    "header other message": (header(message="UpdateReply"), BLOCKED),
    "trailing bytes": (
        flat(lambda a: Array(np.concatenate([a.numpy(), np.frombuffer(b"p0=64.1!", np.uint8)]))),
        BLOCKED,
    ),
    "manifest whitespace": (manifest(lambda t: json.dumps(t, indent=7).encode()), SAME),
    "manifest order": (manifest(lambda t: dict(reversed(t.items()))), SAME),
    "manifest duplicate key": (manifest(with_duplicate), SAME),
    "manifest extra key": (manifest(lambda t: t | {"note": "p0"}), BLOCKED),
    "manifest trailing bytes": (packed_manifest(lambda p: p + b"p0=64.1"), BLOCKED),
    "manifest other level": (packed_manifest(lambda p: zlib.compress(zlib.decompress(p), 1)), SAME),
    "manifest second group": (
        manifest(lambda t: {**t, "arrays": {**t["arrays"], "leak": {}}}),
        BLOCKED,
    ),
    "big-endian": (flat(lambda a: Array(a.numpy().astype(">u1"))), SAME),
    "two dimensions": (flat(lambda a: Array(np.asfortranarray(a.numpy()[None]))), BLOCKED),
    "stype as data": (lie("uint8", (1,), "p0=64.1"), BLOCKED),
    "dtype and shape as data": (lie("p0=64.1", (64, 1), "numpy.ndarray"), SAME),
    "refusal of another site": (refusal(site="two"), BLOCKED),
    "refusal with a note": (refusal(x="p0"), BLOCKED),
    "refusal with a text as code": (refusal(code="p0 is 64"), BLOCKED),
}
STATISTICS: dict[str, tuple[Spoil, str]] = {
    "count 3": (cell(0, 0, 3.0), BLOCKED),
    "count of all patients": (cell(0, 0, 12.0), BLOCKED),
    "count fraction": (moments(lambda a: a + np.array([[0.25], [0], [0]])), BLOCKED),
    "sum of a patient's age": (cell(1, 0, 64.1), BLOCKED),
    "sum and squares of a patient's age": (
        moments(lambda a: np.stack([a[0], np.full_like(a[1], 64.1), np.full_like(a[2], 4108.8)])),
        BLOCKED,
    ),
    "sum of a column without a range": (cell(1, 1, 10.18), BLOCKED),
    "sum beyond the range": (cell(1, 0, 1e4), BLOCKED),
    "squares below the mean's": (cell(2, 0, 1.0), BLOCKED),
    "sums negative": (moments(np.negative), BLOCKED),
    "sums of an absent modality": (
        moments(lambda a: a + np.array([[0.0], [64.1], [0.0]]), "modality:rna"),
        BLOCKED,
    ),
    "whole sums of an absent modality": (
        moments(lambda a: a + np.array([[9.0], [18.0], [50.0]]), "modality:rna"),
        BLOCKED,
    ),
    "sum of times": (moments(lambda a: a * np.array([[1.0], [1.01], [1.02]]), "survival:survival"), BLOCKED),
    "patients 10**12": (header(patients=10**12), BLOCKED),
    "patients 8": (header(patients=8), BLOCKED),
    "patients -1": (header(patients=-1), BLOCKED),
    "withheld fraction": (named("withheld", {"modality:rna": 3.5}), BLOCKED),
}
EVALUATE: dict[str, tuple[Spoil, str]] = {
    "training loss added": (metric("metrics", training_loss=1.0), BLOCKED),
    "validation patients 10**15": (metric("metrics", validation_patients=1e15), BLOCKED),
    "infinite loss": (metric("metrics", validation_loss=math.inf), BLOCKED),
}
PRIVATE: dict[str, tuple[Spoil, str]] = {
    "metrics": (metric("metrics", training_loss=1.0), BLOCKED),
    "patients 51": (metric("patients", patients=51.0), BLOCKED),
    "weight 1 of an absent modality": (named("patients", {"branches.rna": 1.0}), BLOCKED),
    "weight 0 of a head": (named("patients", {"heads.response": 0.0}), BLOCKED),
    "graph weights 1 ulp": (
        entry("branches.clinical.token.bias", lambda a: np.nextafter(a, np.float32(9))),
        BLOCKED,
    ),
    "heads' weights 1 ulp": (
        entry("heads.survival.weight", lambda a: np.nextafter(a, np.float32(9))),
        BLOCKED,
    ),
    "scores of an absent modality": (entry(SCORES, lambda a: a + 1), BLOCKED),
    "a number beyond clip and noise": (
        entry("heads.survival.bias", lambda a: a + np.float32(98765)),
        BLOCKED,
    ),
}


def try_all(asked: Exchange, spoils: dict[str, tuple[Spoil, str]]) -> dict[str, str]:
    """End of every spoilt message; one that leaves otherwise than the honest one is `changed`."""
    honest = asked.check()
    assert honest.outcome == "passed"
    ends = {}
    for name, (spoil, _) in spoils.items():
        content = asked.content()
        spoil(content)
        verdict = asked.check(content)
        same = verdict.message.content.object_id == honest.message.content.object_id
        ends[name] = BLOCKED if verdict.outcome == "blocked" else SAME if same else "changed"
        if verdict.outcome == "blocked":
            assert verdict.message.content.config_records["header"]["code"] == RefusalCode.GATE_BLOCKED
    return ends


@pytest.mark.attack
@pytest.mark.parametrize(
    ("kind", "learn", "spoils"),
    [
        ("train", None, TRAIN),
        ("query.statistics", None, STATISTICS),
        ("evaluate", None, EVALUATE),
        ("train", "linear", PRIVATE),
    ],
    ids=["train", "statistics", "evaluate", "private"],
)
def test_no_spoilt_message_leaves_but_in_its_honest_form(
    hospital: "Hospital",
    kind: str,
    learn: str | None,
    spoils: dict[str, tuple[Spoil, str]],
    attack_row: AttackRow,
) -> None:
    del hospital.site.site["tables"]["rna"]
    hospital.write()
    if learn is not None:
        private(hospital, learn=learn)
    ends = try_all(exchange(hospital, kind), spoils)
    changed = sorted(name for name, end in ends.items() if end == "changed")
    privacy = "" if learn is None else " under privacy"
    attack_row(
        f"{len(spoils)} spoilt messages, {kind}{privacy}",
        "0 leave changed",
        f"{len(changed)} leave changed",
    )
    assert ends == {name: end for name, (_, end) in spoils.items()}
