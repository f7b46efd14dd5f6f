"""Checks of encoded updates: the app's own, spoilt on their way to the gate, and crafted ones."""

import zlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import RecordDict
from numpy.typing import NDArray

from client.egress.checks import fit_update
from client.egress.expected import BlockReason
from common.agreement.federation import Federation, save
from common.agreement.settings import Wire
from common.messages.compression import encode, flatten
from common.messages.exchange import UpdateReply
from common.messages.packing import Arrays
from common.models.parameter_groups import ParameterGroup
from tests.client.egress.gate_case import CANARY, NUMBER, PRIVACY, Exchange, assert_quiet, exchange, private
from tests.client.egress.test_checks import SHAPES, held, reason_of, request_of
from tests.packed import arrays_of, changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

Spoil = Callable[[Arrays], Any]
WIRES = {
    "float16": Wire(update="float16"),
    "int8": Wire(update="int8"),
    "top-k": Wire(update="top-k", share=0.2),
}
EVERY_WIRE = pytest.mark.parametrize("name", WIRES)
SIZE = 4 + 6 + 2
"""Entries of the crafted model: `branches.rna.token.bias`, `heads.response.bias`, `patient.bias`, in this order."""


def agreed(hospital: "Hospital", wire: Wire) -> Exchange:
    """Answer of a hospital's app under an agreement with this encoding."""
    hospital.federation = hospital.federation.model_copy(update={"wire": wire})
    save(hospital.federation, hospital.folder / "federation.toml")
    return exchange(hospital, "train")


def put(name: str, array: Callable[[NDArray[Any]], NDArray[Any]]) -> Spoil:
    return lambda update: update.update({name: array(update[name])})


def inflated(array: NDArray[Any]) -> bytes:
    return zlib.decompress(array.tobytes())


def deflated(plain: bytes) -> NDArray[np.uint8]:
    """Encode as `common.messages.compression` does."""
    coder = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    return np.frombuffer(coder.compress(plain) + coder.flush(), np.uint8)


def text(array: NDArray[Any]) -> NDArray[np.uint8]:
    return np.append(array, np.frombuffer(CANARY.encode(), np.uint8))


def first(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda array: np.append(np.float16(value), array[1:])


SPOILT: list[tuple[str, str, Spoil]] = [
    ("float16", "an array more", lambda update: update.update({CANARY: np.full(3, NUMBER)})),
    ("float16", "another name", lambda update: update.update({CANARY: update.pop("values")})),
    ("float16", "values behind", put("values", lambda values: np.append(values, np.float16(1)))),
    ("float16", "rows", put("values", lambda values: values[None])),
    ("float16", "float32", put("values", lambda values: values.astype(np.float32))),
    ("float16", "infinite", put("values", first(np.inf))),
    ("float16", "not a number", put("values", first(np.nan))),
    ("float16", "a zero with a sign", put("values", first(-0.0))),
    ("int8", "text behind the levels", put("levels", text)),
    ("int8", "text among the levels", put("levels", lambda a: deflated(inflated(a) + CANARY.encode()))),
    ("int8", "levels cut short", put("levels", lambda a: deflated(inflated(a)[:-1]))),
    (
        "int8",
        "levels packed otherwise",
        put("levels", lambda a: np.frombuffer(zlib.compress(inflated(a), 9), np.uint8)),
    ),
    ("int8", "a level of -128", put("levels", lambda a: deflated(inflated(a)[:-1] + b"\x80"))),
    ("int8", "a scale beyond", put("levels", lambda a: deflated(b"\x7f" + inflated(a)[1:]))),
    ("int8", "levels of no scale", put("levels", lambda a: deflated(b"\x80" + inflated(a)[1:]))),
    ("top-k", "a value more", put("values", lambda values: np.append(values, np.float16(1)))),
    ("top-k", "a value of 0", put("values", first(0.0))),
    ("top-k", "an infinite value", put("values", first(np.inf))),
    ("top-k", "text behind the positions", put("positions", text)),
    (
        "top-k",
        "positions packed otherwise",
        put("positions", lambda a: np.frombuffer(zlib.compress(inflated(a), 9), np.uint8)),
    ),
    ("top-k", "a position beyond", put("positions", lambda a: deflated(inflated(a) + b"\x01"))),
    ("top-k", "every position", put("positions", lambda a: deflated(b"\xff" * len(inflated(a))))),
]


@EVERY_WIRE
def test_the_apps_own_update_passes_unchanged(hospital: "Hospital", name: str) -> None:
    asked = agreed(hospital, WIRES[name])
    verdict = asked.check()
    assert (verdict.outcome, verdict.reason) == ("passed", "")
    assert verdict.message.content.object_id == asked.content().object_id
    sent = UpdateReply.from_record(verdict.message.content)
    before = hospital.request().weights
    change = {
        each: array.astype(np.float64) - before[each]
        for each, array in sent.applied(before, WIRES[name]).weights.items()
    }
    norm = np.sqrt(sum(np.square(each).sum() for each in change.values()))
    assert verdict.update_norm == pytest.approx(norm, rel=1e-5)
    asked.gate._policy = asked.gate._policy.model_copy(update={"maximum_update_norm": norm * 0.99})
    assert asked.blocked() == BlockReason.UPDATE_NORM


def test_the_apps_own_noised_update_passes(hospital: "Hospital") -> None:
    private(hospital, learn="linear")
    asked = agreed(hospital, WIRES["int8"])
    verdict = asked.check()
    assert verdict.outcome == "passed"
    reply, before = UpdateReply.from_record(verdict.message.content), hospital.request().weights
    moved = {
        name
        for name, array in reply.applied(before, WIRES["int8"]).weights.items()
        if (array != before[name]).any()
    }
    assert moved
    assert all("scores" in name or name.endswith("bias") for name in moved)


def test_a_spoilt_encoding_is_held_back(hospital: "Hospital") -> None:
    for name in WIRES:
        asked = agreed(hospital, WIRES[name])
        for _, what, spoil in (each for each in SPOILT if each[0] == name):
            content = asked.content()
            with changing(content) as arrays:
                spoil(arrays["update"])
            assert asked.blocked(content) == BlockReason.ENCODING, f"{name}: {what}"
            assert_quiet(asked.check(content))
        assert asked.check().outcome == "passed"


def test_only_the_agreements_encoding_leaves(hospital: "Hospital") -> None:
    """Not the weights themselves either."""
    plain = exchange(hospital, "train").content()
    others = {name: agreed(hospital, wire).content() for name, wire in WIRES.items()}
    for name, wire in WIRES.items():
        asked = agreed(hospital, wire)
        assert asked.blocked(plain) == BlockReason.NOT_A_MESSAGE
        for other in set(WIRES) - {name}:
            assert asked.blocked(others[other]) == BlockReason.ENCODING
    asked = agreed(hospital, Wire())
    assert {asked.blocked(content) for content in others.values()} == {BlockReason.NOT_A_MESSAGE}


def test_order_and_padding_of_an_update_do_not_leave(hospital: "Hospital") -> None:
    asked = agreed(hospital, WIRES["top-k"])
    content: RecordDict = asked.content()
    with changing(content) as arrays:
        arrays["update"] = dict(reversed(arrays["update"].items()))
    header = content.config_records["header"]
    manifest = header["manifest"]
    assert isinstance(manifest, bytes)
    header["manifest"] = zlib.compress(zlib.decompress(manifest) + b" " * len(CANARY), 1)
    verdict = asked.check(content)
    assert verdict.outcome == "passed"
    assert verdict.message.content.object_id == asked.check().message.content.object_id
    assert list(arrays_of(verdict.message.content)["update"]) == ["positions", "values"]


def update_of(expected: Any, wire: Wire, change: NDArray[np.float32], **changes: Any) -> UpdateReply:
    """A reply of crafted values [SIZE], eight patients behind each group."""
    fields: dict[str, Any] = {
        "site": "north",
        "round": 2,
        "update": encode(change, wire, SHAPES),
        "patients": {group.name: 8.0 for group in expected.groups.groups},
        "metrics": {"training_loss": 0.5},
    }
    return UpdateReply(**(fields | changes))


def expecting(federation: Federation, wire: Wire, **changes: Any) -> Any:
    return held(federation.model_copy(update={"wire": wire}), **changes)


@EVERY_WIRE
def test_what_nobody_trained_is_exactly_zero_however_small_it_were(
    small_federation: Federation, name: str
) -> None:
    """Added to a large weight it would vanish, and would have left all the same."""
    expected, before = expecting(small_federation, WIRES[name]), request_of()
    before.weights["heads.response.bias"][:] = 1e6
    change = np.zeros(SIZE, np.float32)
    change[8:] = 0.5
    patients = update_of(expected, WIRES[name], change).patients
    nobody = {**patients, "heads.response": 0.0, "branches.rna": 0.0}
    reply = update_of(expected, WIRES[name], change, patients=nobody)
    fitted, norm, _ = fit_update(reply, before, expected)
    assert fitted.update.keys() == reply.update.keys()
    assert norm == pytest.approx(0.5 * np.sqrt(4 if name != "top-k" else 3))
    for place in (0, 7):
        tiny = np.zeros(SIZE, np.float32)
        tiny[place] = 1e-5
        spoilt = update_of(expected, WIRES[name], tiny, patients=nobody)
        assert reason_of(partial(fit_update, spoilt, before, expected)) is BlockReason.UNTRAINED_CHANGED
    secret = expecting(small_federation, WIRES[name], privacy=PRIVACY.model_copy(update={"learn": "linear"}))
    change[:] = 0
    change[8] = 1e-5  # of `patient.bias`, which linear learning leaves alone
    told = update_of(secret, WIRES[name], change, patients=dict.fromkeys(patients, 1.0), metrics={})
    assert secret.groups["patient.bias"] == ParameterGroup.SHARED
    assert reason_of(lambda: fit_update(told, before, secret)) is BlockReason.UNTRAINED_CHANGED


@EVERY_WIRE
def test_an_update_speaks_for_its_site_its_round_and_enough_patients(
    small_federation: Federation, name: str
) -> None:
    expected, change = expecting(small_federation, WIRES[name]), np.zeros(SIZE, np.float32)
    patients = update_of(expected, WIRES[name], change).patients
    cases: list[tuple[dict[str, Any], BlockReason]] = [
        ({"site": CANARY}, BlockReason.WRONG_SITE),
        ({"round": 3}, BlockReason.WRONG_ROUND),
        ({"patients": {**patients, "heads.response": 2.0}}, BlockReason.COUNT),
        ({"patients": {**patients, CANARY: 8.0}}, BlockReason.METRICS),
        ({"metrics": {CANARY: 0.5}}, BlockReason.METRICS),
    ]
    for changes, reason in cases:
        reply = update_of(expected, WIRES[name], change, **changes)
        assert reason_of(partial(fit_update, reply, request_of(), expected)) is reason


def test_weights_stay_finite(small_federation: Federation) -> None:
    expected = expecting(small_federation, WIRES["int8"])
    most = np.full((4,), np.finfo(np.float32).max)
    weights = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()} | {"patient.bias": most}
    reply = update_of(expected, WIRES["int8"], flatten(weights))
    before = request_of(**{"patient.bias": most})
    assert reason_of(lambda: fit_update(reply, before, expected)) is BlockReason.NOT_FINITE
