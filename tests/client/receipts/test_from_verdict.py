import math
from collections.abc import Iterator

import numpy as np
import pytest
from flwr.app import Error, Message

from client.egress.gate import Verdict
from client.flower.internals import weigh
from client.ledger.entries import Entry
from client.receipts.from_verdict import receipt_of
from common.errors import RefusalCode
from common.messages.exchange import RefusalReply, StatisticsRequest, TrainReply
from common.privacy.accounting import Release
from simulations.engines.flower_internals import acting_as_coordinator, name_message, new_run
from tests.attacks.attack_table import AttackRow

REPLY = TrainReply(
    site="north",
    round=3,
    weights={"heads.os.bias": np.zeros(2, np.float32), "a": np.ones((2, 3), np.float32)},
    patients={"patients": 12.0},
    metrics={"training_loss": 0.5},
)
NOISY = Release(mechanism="training", noise_multiplier=2.0, sampling_rate=0.1, steps=4)


@pytest.fixture(autouse=True)
def _coordinator() -> Iterator[None]:
    with acting_as_coordinator(new_run({})):
        yield


def asked() -> Message:
    request = Message(StatisticsRequest(federation="f" * 64, fold=-1).to_record(), 7, "train")
    name_message(request, "1")
    return request


def test_a_receipt_names_every_array_behind_the_manifest() -> None:
    request = asked()
    leaving = Message(REPLY.to_record(), reply_to=request)
    verdict = Verdict("passed", leaving, update_norm=0.25, suppressed=("os",), reservation=None)
    receipt = receipt_of(request, verdict, "f" * 64, (), None)
    assert receipt.arrays == {"weights/heads.os.bias": (2,), "weights/a": (2, 3)}
    assert receipt.numbers == {"patients": {"patients": 12.0}, "metrics": {"training_loss": 0.5}}
    assert (receipt.size_bytes, receipt.sha256) == weigh(leaving.content)
    assert (receipt.request, receipt.asked, receipt.message, receipt.round) == ("1", "train", "TrainReply", 3)
    assert (receipt.update_norm, receipt.suppressed, receipt.federation) == (0.25, ("os",), "f" * 64)
    assert (receipt.delta, receipt.epsilon_before, receipt.epsilon_after) == (None, None, None)


def test_a_refusal_and_an_error_have_receipts_too() -> None:
    request = asked()
    said = RefusalReply(site="north", code=RefusalCode.GATE_BLOCKED).to_record()
    verdict = Verdict("blocked", Message(said, reply_to=request), "not-finite")
    receipt = receipt_of(request, verdict, "", (), None)
    assert (receipt.message, receipt.verdict, receipt.reason) == ("RefusalReply", "blocked", "not-finite")
    assert receipt.arrays == {}
    failure = Verdict("failed", Message(Error(2, "fixed"), reply_to=request))
    receipt = receipt_of(request, failure, "", (), None)
    assert (receipt.message, receipt.round, receipt.numbers) == ("Error", None, {})


def entry(number: int, release: Release) -> Entry:
    return Entry.model_construct(number=number, at="", kind="reserved", releases=(release,), hash="")


def test_epsilon_is_told_before_and_after_the_messages_own_reservation() -> None:
    request = asked()
    verdict = Verdict("passed", Message(REPLY.to_record(), reply_to=request), reservation=2)
    receipt = receipt_of(request, verdict, "", (entry(1, NOISY), entry(2, NOISY)), 1e-3)
    assert receipt.epsilon_before is not None
    assert receipt.epsilon_after is not None
    assert 0 < receipt.epsilon_before < receipt.epsilon_after < math.inf
    alone = receipt_of(request, verdict, "", (entry(1, NOISY),), 1e-3)
    assert alone.epsilon_before == alone.epsilon_after == receipt.epsilon_before


def test_where_nothing_bounds_epsilon_none_is_told() -> None:
    request = asked()
    verdict = Verdict("passed", Message(REPLY.to_record(), reply_to=request), reservation=1)
    open_ = Release(mechanism="without-privacy", steps=1)
    receipt = receipt_of(request, verdict, "", (entry(1, open_),), 1e-3)
    assert (receipt.delta, receipt.epsilon_after) == (1e-3, None)


@pytest.mark.attack
def test_a_long_message_type_is_cut(attack_row: AttackRow) -> None:
    request = asked()
    request.metadata.__dict__["_message_type"] = "train." + "A" * 1_000_000
    request.metadata.__dict__["_message_id"] = "B" * 1_000_000
    verdict = Verdict("refused", Message(REPLY.to_record(), reply_to=request))
    receipt = receipt_of(request, verdict, "f" * 64, (), None)
    size = len(receipt.model_dump_json())
    attack_row("message type of 1 MB", "receipt < 2 kB", f"receipt of {size} bytes")
    assert receipt.asked.startswith("train.AAA")
    assert size < 2_000
