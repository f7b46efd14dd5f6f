"""Error feedback: the loss of an encoding arrives later, once, in the same run alone."""

import logging
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load, save

from client.training.error_feedback import ResidualFault, encoded_update
from common.agreement.settings import Wire
from common.errors import MachineError, Refusal, RefusalCode
from common.messages.compression import decode, flatten, unflatten
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays
from tests.client.logged import codes

SHAPES = {"heads.a.weight": (4, 8), "patient.bias": (8,)}
SIZE, HEAD = 40, slice(0, 32)
HALF, LARGEST = Wire(update="float16"), Wire(update="top-k", share=0.1)
WIRES = pytest.mark.parametrize("wire", [HALF, Wire(update="int8"), LARGEST], ids=lambda wire: wire.update)
RUN = 2**62 + 1
CANARY = "CANARY-8371"


def change(seed: int) -> NDArray[np.float32]:
    return (1e-3 * np.random.default_rng(seed).standard_normal(SIZE)).astype(np.float32)


def request(round_: int = 1, **changes: Any) -> ModelRequest:
    fields: dict[str, Any] = {
        "federation": "f" * 64,
        "round": round_,
        "fold": -1,
        "seed": 0,
        "weights": unflatten(np.linspace(-1, 1, SIZE, dtype=np.float32), SHAPES),
        "preprocessing": {},
    }
    return ModelRequest(**(fields | changes))


class Hospital:
    """Encodes changes of the same weights, round after round."""

    def __init__(self, folder: Path, wire: Wire) -> None:
        self.path, self.wire = folder / "state" / "residual.safetensors", wire

    def encoded(
        self,
        moved: NDArray[np.float32],
        asked: ModelRequest,
        run: int = RUN,
        trained: Any = tuple(SHAPES),
        limit: float | None = None,
    ) -> Arrays:
        before = flatten(asked.weights)
        weights = unflatten(before + moved, SHAPES)
        return encoded_update(self.path, run, asked, weights, trained, self.wire, limit)

    def sent(self, moved: NDArray[np.float32], asked: ModelRequest, **how: Any) -> NDArray[np.float32]:
        return decode(self.encoded(moved, asked, **how), self.wire, SHAPES)

    def left(self) -> NDArray[np.float32]:
        return load(self.path.read_bytes())["after"]


def real(moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """A change as it is left by adding it to the weights."""
    before = flatten(request().weights)
    return (before + moved) - before


@WIRES
def test_all_that_was_sent_and_what_is_left_are_all_the_changes(tmp_path: Path, wire: Wire) -> None:
    hospital = Hospital(tmp_path, wire)
    changes = [change(seed) for seed in range(12)]
    sent = [hospital.sent(moved, request(number)) for number, moved in enumerate(changes, start=1)]
    assert np.abs(sent[0] - real(changes[0])).max() > 0
    total = np.sum([real(moved) for moved in changes], axis=0, dtype=np.float64)
    found = np.sum(sent, axis=0, dtype=np.float64) + hospital.left()
    np.testing.assert_allclose(found, total, atol=1e-8)


def test_what_is_never_among_the_largest_arrives_all_the_same(tmp_path: Path) -> None:
    """Without feedback `top-k` would forget the small entries of every round."""
    hospital = Hospital(tmp_path, LARGEST)
    moved = np.full(SIZE, 1e-4, np.float32)
    moved[:4] = 1e-3
    total = sum(hospital.sent(moved, request(number)) for number in range(1, 61))
    assert (np.asarray(total)[4:] > 0).all()


@WIRES
def test_a_round_that_is_asked_for_again_is_answered_alike(tmp_path: Path, wire: Wire) -> None:
    hospital = Hospital(tmp_path, wire)
    hospital.sent(change(1), request(1))
    second, again = (hospital.sent(change(2), request(2)) for _ in range(2))
    np.testing.assert_array_equal(second, again)
    once = hospital.left()
    hospital.sent(change(2), request(2))
    np.testing.assert_array_equal(hospital.left(), once)


def test_a_missed_round_keeps_what_is_left(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, LARGEST)
    hospital.sent(change(1), request(1))
    left = hospital.left()
    moved = np.zeros(SIZE, np.float32)
    sent = hospital.sent(moved, request(4))
    np.testing.assert_array_equal(sent + hospital.left(), left)


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        (request(2), RUN + 1),
        (request(2, federation="e" * 64), RUN),
        (request(2, fold=0), RUN),
        (request(1), RUN),
    ],
    ids=["another run", "another agreement", "another fold", "an earlier round"],
)
def test_nothing_is_left_from_anywhere_else(tmp_path: Path, asked: ModelRequest, run: int) -> None:
    hospital, fresh = Hospital(tmp_path / "a", LARGEST), Hospital(tmp_path / "b", LARGEST)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    hospital.sent(change(1), request(1))
    hospital.sent(change(2), request(2))
    hospital.sent(change(3), request(3))
    expected = fresh.sent(change(4), asked, run=run)
    np.testing.assert_array_equal(hospital.sent(change(4), asked, run=run), expected)
    np.testing.assert_array_equal(hospital.left(), fresh.left())


def test_what_a_round_does_not_train_has_no_part_in_it_and_waits(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, LARGEST)
    hospital.sent(change(1), request(1))
    left = hospital.left()
    assert left[HEAD].any()
    sent = hospital.sent(change(2), request(2), trained=("patient.bias",))
    assert not sent[HEAD].any()
    np.testing.assert_array_equal(hospital.left()[HEAD], left[HEAD])


def test_the_residual_is_its_users_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hospital = Hospital(tmp_path, LARGEST)
    hospital.sent(change(1), request(1))
    assert stat.S_IMODE(hospital.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(hospital.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in hospital.path.parent.iterdir()] == ["residual.safetensors"]
    fresh = Hospital(tmp_path / "fresh", LARGEST)
    (tmp_path / "fresh").mkdir()
    expected = fresh.sent(change(2), request(2))
    hospital.path.chmod(0o644)
    np.testing.assert_array_equal(hospital.sent(change(2), request(2)), expected)
    assert codes(caplog) == [ResidualFault.EXPOSED]


def spoilt(content: bytes) -> dict[str, bytes]:
    kept = load(content)
    flipped = bytearray(content)
    flipped[-1] ^= 1
    longer = {**kept, "after": np.zeros(SIZE + 1, np.float32)}
    return {
        "nothing": b"",
        "cut short": content[:-1],
        "a bit": bytes(flipped),
        "another file": f"{CANARY}\n".encode() * 50,
        "an array less": save({"before": kept["before"], "told": kept["told"]}),
        "no JSON": save({**kept, "told": np.frombuffer(CANARY.encode(), np.uint8)}),
        "a list": save({**kept, "told": np.frombuffer(b"[]", np.uint8)}),
        "another size": save(longer),
    }


def test_a_spoilt_residual_is_none_and_says_so_without_a_word_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hospital, fresh = Hospital(tmp_path / "a", LARGEST), Hospital(tmp_path / "b", LARGEST)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    expected = fresh.sent(change(2), request(2))
    hospital.sent(change(1), request(1))
    whole = hospital.path.read_bytes()
    for what, content in spoilt(whole).items():
        caplog.clear()
        hospital.path.write_bytes(content)
        np.testing.assert_array_equal(hospital.sent(change(2), request(2)), expected, what)
        assert codes(caplog) in ([ResidualFault.SPOILT], [ResidualFault.UNREADABLE]), what
        assert CANARY not in caplog.text
    hospital.path.unlink()
    hospital.path.symlink_to(fresh.path)
    np.testing.assert_array_equal(hospital.sent(change(2), request(2)), expected)


def test_the_first_round_says_nothing_of_a_residual(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    Hospital(tmp_path, HALF).sent(change(1), request(1))
    assert caplog.text == ""


def test_no_update_leaves_whose_rest_could_not_be_kept(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    hospital = Hospital(tmp_path, HALF)
    with pytest.raises(MachineError) as raised:
        hospital.encoded(change(1), request(1))
    assert raised.value.where == str(hospital.path)
    assert FileExistsError.__name__ in raised.value.what


def test_a_change_beyond_all_numbers_is_no_update(tmp_path: Path) -> None:
    most = np.finfo(np.float32).max
    asked = request(weights=unflatten(np.full(SIZE, -most, np.float32), SHAPES))
    weights = unflatten(np.full(SIZE, most, np.float32), SHAPES)
    hospital = Hospital(tmp_path, HALF)
    with pytest.raises(Refusal) as refused:
        encoded_update(hospital.path, RUN, asked, weights, tuple(SHAPES), HALF)
    assert refused.value.code is RefusalCode.TRAINING_DIVERGED
    assert not hospital.path.exists()


@WIRES
def test_a_change_beyond_the_policys_limit_leaves_nothing_behind(tmp_path: Path, wire: Wire) -> None:
    hospital = Hospital(tmp_path, wire)
    moved = change(1)
    with pytest.raises(Refusal) as refused:
        hospital.encoded(moved, request(), limit=0.9 * float(np.linalg.norm(moved)))
    assert refused.value.code is RefusalCode.GATE_BLOCKED
    assert not hospital.path.exists()


def test_what_piles_up_beyond_the_limit_is_shortened_and_the_rest_waits(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, LARGEST)
    moved = change(1)
    limit = 1.01 * float(np.linalg.norm(moved))
    arrived = np.zeros(SIZE, np.float32)
    for number in range(1, 41):
        sent = hospital.sent(moved, request(number), limit=limit)
        assert np.linalg.norm(sent) <= limit
        arrived += sent
    np.testing.assert_allclose(arrived + hospital.left(), 40 * moved, atol=1e-4)


@pytest.mark.parametrize("wire", [HALF, LARGEST], ids=lambda wire: wire.update)
def test_what_half_precision_cannot_hold_is_no_update(tmp_path: Path, wire: Wire) -> None:
    hospital = Hospital(tmp_path, wire)
    moved = change(1)
    moved[3] = 1e6
    with pytest.raises(Refusal) as refused:
        hospital.encoded(moved, request())
    assert refused.value.code is RefusalCode.TRAINING_DIVERGED
    assert not hospital.path.exists()
