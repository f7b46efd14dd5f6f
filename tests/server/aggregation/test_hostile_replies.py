"""Sixty replies of a hostile hospital: each is dropped by name or taken as it is, and the other three always count."""

import hashlib
import io
import json
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

from common.messages.exchange import PACKED, ModelRequest
from server.records.dropped import DropReason
from simulations.engines.flower_internals import deflate, inflate, name_message
from tests.attacks.attack_table import AttackRow

if TYPE_CHECKING:
    from tests.server.conftest import Bench

pytestmark = pytest.mark.attack

Spoil = Callable[["Bench", Message], Message]
LONGEST_S = 2.0
"""Seconds that reading any of them may take on a busy machine."""


def fields(**changes: Any) -> Spoil:
    return lambda bench, request: bench.reply(request, **{"site": "east", **changes})


def weights(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    def spoil(bench: "Bench", request: Message) -> Message:
        asked = ModelRequest.from_record(request.content)
        changed = {name: change(array + np.float32(1)) for name, array in asked.weights.items()}
        return bench.reply(request, "east", weights=changed)

    return spoil


def metrics(**told: float) -> Spoil:
    return lambda bench, request: bench.reply(request, "east", metrics=bench.metrics(0.5) | told)


def counted(number: float) -> Spoil:
    return fields(patients=dict.fromkeys(("patients", "branches.rna", "heads.os"), number))


def records(**replaced: Any) -> Spoil:
    """A reply with whole records in place of the honest ones."""

    def spoil(bench: "Bench", request: Message) -> Message:
        reply = bench.reply(request, "east")
        for name, record in replaced.items():
            reply.content[name] = record
        return reply

    return spoil


def header(**changes: Any) -> Spoil:
    def spoil(bench: "Bench", request: Message) -> Message:
        reply = bench.reply(request, "east")
        for name, value in changes.items():
            reply.content.config_records["header"][name] = value
        return reply

    return spoil


def raw(data: bytes) -> Spoil:
    return records(**{PACKED: ArrayRecord({PACKED: Array("uint8", (3,), "numpy.ndarray", data)})})


def npy(shape: tuple[int, ...], dtype: str = "|u1", after: bytes = b"abc") -> Spoil:
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return raw(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + after)


def flat(change: Callable[[np.ndarray], np.ndarray]) -> Spoil:
    """A reply whose packed array was changed behind the manifest's back."""

    def spoil(bench: "Bench", request: Message) -> Message:
        reply = bench.reply(request, "east")
        packed = reply.content.array_records[PACKED][PACKED].numpy()
        reply.content[PACKED] = ArrayRecord({PACKED: Array(change(packed))})
        return reply

    return spoil


def manifest(content: bytes) -> Spoil:
    return header(manifest=zlib.compress(content, 9))


def many(number: int, shape: tuple[int, ...]) -> Spoil:
    """A manifest of many arrays without a byte in them."""

    def spoil(bench: "Bench", request: Message) -> Message:
        tree = {"weights": {f"a{index}": ["f4", *shape] for index in range(number)}}
        content = {"sha256": hashlib.sha256(b"").hexdigest(), "arrays": tree}
        reply = manifest(json.dumps(content, separators=(",", ":")).encode())(bench, request)
        reply.content[PACKED] = ArrayRecord({PACKED: Array(np.zeros(0, np.uint8))})
        return reply

    return spoil


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10**7))
    return stream.getvalue()


class Code:
    """An object whose unpickling runs code."""

    def __reduce__(self) -> Any:
        return exec, ("raise SystemExit('code of a reply ran')",)


MESSAGE, WEIGHT, FIGURES = (
    DropReason.INVALID_MESSAGE,
    DropReason.WEIGHT_INVALID,
    DropReason.FIGURES_IMPLAUSIBLE,
)
ENDLESS = {f"m{number}": 1.0 for number in range(100_000)}
HONEST = {"patients": 30.0, "branches.rna": 20.0, "heads.os": 30.0}
GROUPS = {f"g{number}": 1e308 for number in range(10_000)}

HOSTILE: dict[str, tuple[Spoil, DropReason | None]] = {
    "honest": (fields(), None),
    "one array too many": (
        lambda bench, request: bench.reply(
            request, "east", weights=bench.weights | {"x": np.zeros(1, np.float32)}
        ),
        DropReason.ARRAY_NAMES,
    ),
    "no arrays": (fields(weights={}), DropReason.ARRAY_NAMES),
    "another shape": (weights(lambda array: array.ravel()[None]), DropReason.ARRAY_SHAPE),
    "float64": (weights(lambda array: array.astype(np.float64)), DropReason.ARRAY_DTYPE),
    "float16": (weights(lambda array: array.astype(np.float16)), DropReason.ARRAY_DTYPE),
    "NaN": (weights(lambda array: np.full_like(array, np.nan)), DropReason.NOT_FINITE),
    "inf": (weights(lambda array: np.full_like(array, np.inf)), DropReason.NOT_FINITE),
    "-inf": (weights(lambda array: np.full_like(array, -np.inf)), DropReason.NOT_FINITE),
    "NaN with a payload": (
        weights(
            lambda array: np.frombuffer(struct.pack("<I", 0x7FC0BEEF) * array.size, np.float32).reshape(
                array.shape
            )
        ),
        DropReason.NOT_FINITE,
    ),
    "3.4e38": (weights(lambda array: np.full_like(array, 3.4e38)), DropReason.UPDATE_IMPLAUSIBLE),
    "-1e30": (weights(lambda array: array - np.float32(1e30)), DropReason.UPDATE_IMPLAUSIBLE),
    **{f"{number} patients": (counted(number), WEIGHT) for number in (0.0, -1.0, np.nan, np.inf)},
    **{f"{number} patients": (counted(number), WEIGHT) for number in (1e308, 401.0, 1e-308, 0.5)},
    "all of its patients": (counted(400.0), None),
    "no number of patients": (fields(patients={}), WEIGHT),
    "a list of patients": (records(patients=MetricRecord({"patients": [1.0, 2.0]})), MESSAGE),
    "10,000 groups more": (fields(patients=HONEST | GROUPS), None),
    "another site's name": (fields(site="north"), DropReason.WRONG_SITE),
    "a name of markup": (fields(site="<script>"), DropReason.UNKNOWN_SITE),
    "an old round": (fields(round=7), DropReason.WRONG_ROUND),
    "a negative round": (header(round=-1), MESSAGE),
    "a list for a name": (header(site=[1, 2]), MESSAGE),
    "another message": (header(message="ModelRequest"), MESSAGE),
    "a field of a megabyte": (header(extra="x" * 10**6), MESSAGE),
    "an error of 100,000 letters": (lambda b, request: b.error(request, 2, "x" * 10**5), DropReason.ERROR),
    "an error with escapes": (lambda b, request: b.error(request, 2**31 - 1, "\x1b[2J"), DropReason.ERROR),
    "statistics": (lambda b, request: b.content(request, b.statistics("east").to_record()), MESSAGE),
    "a refusal of its own": (
        records(header=ConfigRecord({"message": "RefusalReply", "site": "east", "code": "\x1b]0;x\x07"})),
        MESSAGE,
    ),
    "nothing": (lambda b, request: b.content(request, RecordDict()), MESSAGE),
    "arrays cut short": (flat(lambda array: array[:-4]), MESSAGE),
    "arrays drawn out": (flat(lambda array: np.concatenate([array, array[:4]])), MESSAGE),
    "arrays turned": (flat(lambda array: array[::-1].copy()), MESSAGE),
    "arrays of floats": (flat(lambda array: array.astype(np.float32)), MESSAGE),
    "2^45 bytes in a header": (npy((2**45,)), MESSAGE),
    "2^124 bytes in a header": (npy((2**62, 2**62)), MESSAGE),
    "negative bytes in a header": (npy((-1,)), MESSAGE),
    "objects": (npy((1,), "|O", pickle.dumps(Code())), MESSAGE),
    "a pickle": (raw(pickle.dumps(Code())), MESSAGE),
    "a zip that swells": (raw(zipped()), MESSAGE),
    "no bytes": (raw(b""), MESSAGE),
    "loss of -1e300": (metrics(validation_loss=-1e300, validation_patients=1e300), FIGURES),
    "1e18 validation patients": (metrics(validation_loss=1e17, validation_patients=1e18), FIGURES),
    "training loss of 1e300": (metrics(training_loss=1e300), FIGURES),
    "1e300 pairs": (metrics(**{"concordant:os": 1e300, "comparable:os": 1e300}), FIGURES),
    "losses that are not a number": (metrics(validation_loss=np.nan, validation_patients=10.0), None),
    "a metric of markup": (metrics(**{"<img src=x>": 1.0}), DropReason.METRICS_UNKNOWN),
    "100,000 metrics": (metrics(**ENDLESS), DropReason.METRICS_UNKNOWN),
    "a manifest that swells": (manifest(bytes(1 << 26)), MESSAGE),
    "a manifest 170,000 deep": (
        manifest(b'{"sha256":"","arrays":' + b'{"a":' * 170_000 + b"1" + b"}" * 170_001),
        MESSAGE,
    ),
    "a manifest of lists 500,000 deep": (manifest(b"[" * 500_000 + b"]" * 500_000), MESSAGE),
    "a number of 4,000 digits": (
        manifest(b'{"sha256":"","arrays":{"weights":{"a":["f4",' + b"9" * 4000 + b"]}}}"),
        MESSAGE,
    ),
    "a number of 900,000 digits": (
        manifest(b'{"sha256":"","arrays":{"weights":{"a":["f4",' + b"9" * 900_000 + b"]}}}"),
        MESSAGE,
    ),
    "60,000 arrays of nothing": (many(60_000, (0,)), MESSAGE),
    "30,000 arrays of 0 x 2^30": (many(30_000, (0, 2**30)), DropReason.ARRAY_NAMES),
}


def over_the_wire(message: Message) -> Message:
    """The message as it arrives, or as it is where Flower cannot even send it."""
    name_message(message, "hostile")
    try:
        arrived = inflate(deflate(message))
    except (ValueError, TypeError, KeyError):
        return message
    arrived.metadata.__dict__.update(message.metadata.__dict__)
    return arrived


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_reply_is_dropped_and_the_others_count(
    bench: "Bench", name: str, attack_row: AttackRow
) -> None:
    spoil, reason = HOSTILE[name]
    rounds = bench.rounds()
    requests = rounds.ask()
    hostile = over_the_wire(spoil(bench, requests["east"]))
    honest = [bench.reply(requests[site], site) for site in ("north", "south", "west")]
    began = time.process_time()
    arrays = rounds.close([*honest[:2], hostile, honest[2]])
    seconds = time.process_time() - began
    dropped = [(one.site, one.reason) for one in rounds.record.dropped]
    told = (
        f"dropped: {', '.join(why for _, why in dropped)}"
        if dropped
        else "counted, the others' average is right"
    )
    promised = "counted, no harm to the others" if reason is None else f"dropped: {reason.value}"
    attack_row(f"hospital's reply: {name}", promised, f"{told}, in {seconds:.2f} s")
    assert dropped == ([] if reason is None else [("east", reason)])
    assert {"north", "south", "west"} <= set(rounds.record.sites)
    assert arrays is not None
    assert all(np.allclose(arrays[key], bench.weights[key] + 1) for key in arrays)
    assert seconds < LONGEST_S
