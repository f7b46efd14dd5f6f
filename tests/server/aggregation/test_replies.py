import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, Metadata, RecordDict
from flwr.app.message import make_message

from common.errors import RefusalCode
from common.messages.exchange import PACKED, RefusalReply
from server.records.dropped import REASONS, DropReason

if TYPE_CHECKING:
    from tests.server.conftest import Bench

CANARY = "CANARY-8371"
SUPERLINK = 1
Spoil = Callable[["Bench", Message], Message]


def arrays(**changes: Any) -> Spoil:
    """A reply whose weights are the honest ones with arrays replaced, or removed by None."""

    def spoil(bench: "Bench", request: Message) -> Message:
        changed = {**bench.weights, **{name.replace("_", "."): array for name, array in changes.items()}}
        weights = {name: array for name, array in changed.items() if array is not None}
        return bench.reply(request, "south", weights=weights)

    return spoil


def fields(**changes: Any) -> Spoil:
    return lambda bench, request: bench.reply(request, **{"site": "south", **changes})


def weighing(number: float) -> Spoil:
    return fields(patients={"patients": 30.0, "branches.rna": number})


def telling(**metrics: float) -> Spoil:
    return lambda bench, request: bench.reply(request, "south", metrics=bench.metrics(0.5) | metrics)


MANY = {f"metric {number}": 1.0 for number in range(1000)}


def raw_array(data: bytes) -> Spoil:
    """A reply with bytes that only claim to be an array."""

    def spoil(bench: "Bench", request: Message) -> Message:
        reply = bench.reply(request, "south")
        reply.content[PACKED] = ArrayRecord({PACKED: Array("uint8", (99,), "numpy.ndarray", data)})
        return reply

    return spoil


def refusal(bench: "Bench", request: Message) -> Message:
    return bench.content(request, RefusalReply(site="south", code=RefusalCode.COHORT_INVALID).to_record())


def made_up_refusal(bench: "Bench", request: Message) -> Message:
    header = ConfigRecord({"message": "RefusalReply", "site": "south", "code": CANARY})
    return bench.content(request, RecordDict({"header": header}))


def superlink_error(code: int) -> Spoil:
    """An error that Flower makes at the SuperLink, in the place of a site's reply."""

    def spoil(bench: "Bench", request: Message) -> Message:
        metadata = Metadata(
            run_id=5,
            message_id="",
            src_node_id=SUPERLINK,
            dst_node_id=SUPERLINK,
            reply_to_message_id=request.metadata.message_id,
            group_id="",
            created_at=0.0,
            ttl=0.0,
            message_type="system",
        )
        return make_message(metadata=metadata, error=Error(code, CANARY))

    return spoil


BAD: list[tuple[str, Spoil, DropReason, str | None]] = [
    ("wrong shape", arrays(shared_weight=np.zeros((2, 3), np.float32)), DropReason.ARRAY_SHAPE, None),
    ("broadcastable shape", arrays(shared_weight=np.zeros((1, 2), np.float32)), DropReason.ARRAY_SHAPE, None),
    ("missing array", arrays(shared_weight=None), DropReason.ARRAY_NAMES, None),
    ("extra array", arrays(patients_rows=np.zeros(2, np.float32)), DropReason.ARRAY_NAMES, None),
    ("NaN", arrays(shared_weight=np.full((2, 2), np.nan, np.float32)), DropReason.NOT_FINITE, None),
    ("inf", arrays(shared_weight=np.full((2, 2), -np.inf, np.float32)), DropReason.NOT_FINITE, None),
    ("float64", arrays(shared_weight=np.zeros((2, 2))), DropReason.ARRAY_DTYPE, None),
    ("no bytes", raw_array(b""), DropReason.INVALID_MESSAGE, None),
    ("bytes of a zip", raw_array(b"PK\x03\x04" + CANARY.encode()), DropReason.INVALID_MESSAGE, None),
    ("3e38", fields(add=3e38), DropReason.UPDATE_IMPLAUSIBLE, None),
    ("further than training", fields(add=-2e5), DropReason.UPDATE_IMPLAUSIBLE, None),
    ("wrong round", fields(round=7), DropReason.WRONG_ROUND, None),
    ("unknown site", fields(site="atlantis " + CANARY), DropReason.UNKNOWN_SITE, None),
    ("another site's name", fields(site="north"), DropReason.WRONG_SITE, None),
    ("negative weight", weighing(-1.0), DropReason.WEIGHT_INVALID, None),
    ("NaN weight", weighing(float("nan")), DropReason.WEIGHT_INVALID, None),
    ("inf weight", weighing(float("inf")), DropReason.WEIGHT_INVALID, None),
    ("no weight", fields(patients={"branches.rna": 3.0}), DropReason.WEIGHT_INVALID, None),
    ("no patients", fields(patients={"patients": 0.0, "branches.rna": 3.0}), DropReason.WEIGHT_INVALID, None),
    ("NaN patients", fields(patients={"patients": float("nan")}), DropReason.WEIGHT_INVALID, None),
    ("more than enrolled", fields(patients={"patients": 401.0}), DropReason.WEIGHT_INVALID, None),
    ("a huge weight", fields(patients={"patients": 1e300}), DropReason.WEIGHT_INVALID, None),
    ("a group of more than enrolled", weighing(401.0), DropReason.WEIGHT_INVALID, None),
    ("a huge group", weighing(1e300), DropReason.WEIGHT_INVALID, None),
    ("a group of more than all", weighing(31.0), DropReason.WEIGHT_INVALID, None),
    ("half a patient", fields(patients={"patients": 0.5}), DropReason.WEIGHT_INVALID, None),
    ("a tiny weight", fields(patients={"patients": 1e-308}), DropReason.WEIGHT_INVALID, None),
    ("a part of a patient", weighing(1.5), DropReason.WEIGHT_INVALID, None),
    ("an unknown metric", telling(**{CANARY: 1.0}), DropReason.METRICS_UNKNOWN, None),
    ("metrics without end", telling(**MANY), DropReason.METRICS_UNKNOWN, None),
    ("a negative loss", telling(validation_loss=-0.1), DropReason.FIGURES_IMPLAUSIBLE, None),
    ("a huge training loss", telling(training_loss=1e300), DropReason.FIGURES_IMPLAUSIBLE, None),
    ("patients from nowhere", telling(validation_patients=1e15), DropReason.FIGURES_IMPLAUSIBLE, None),
    ("no content", lambda b, r: b.content(r, RecordDict()), DropReason.INVALID_MESSAGE, None),
    ("another message", lambda b, r: b.evaluation(r, "south", 1.0), DropReason.INVALID_MESSAGE, None),
    ("refusal", refusal, DropReason.REFUSED, "cohort-invalid"),
    ("made-up refusal", made_up_refusal, DropReason.INVALID_MESSAGE, None),
    ("error", lambda b, r: b.error(r, 2, CANARY), DropReason.ERROR, "2"),
    ("objects unavailable", superlink_error(3), DropReason.ERROR, "3"),
    ("node unavailable", superlink_error(5), DropReason.ERROR, "5"),
]


@pytest.fixture
def logged() -> Any:
    """Everything any logger says, Flower's included."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    keep = Keep(level=logging.DEBUG)
    loggers = [logging.getLogger(), logging.getLogger("flwr")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(keep)
        logger.setLevel(logging.DEBUG)
    yield lines
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(keep)
        logger.setLevel(level)


@pytest.mark.parametrize(("spoil", "reason", "code"), [bad[1:] for bad in BAD], ids=[bad[0] for bad in BAD])
def test_a_bad_reply_is_dropped_with_its_reason_and_the_others_stand(
    bench: "Bench",
    spoil: Spoil,
    reason: DropReason,
    code: str | None,
    logged: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    good = [bench.reply(requests[site], site, add=3.0) for site in ("east", "north", "west")]
    result = rounds.close([*good[:2], spoil(bench, requests["south"]), good[2]])
    assert [(one.site, one.reason, one.code) for one in rounds.record.dropped] == [("south", reason, code)]
    assert rounds.record.applied
    assert result is not None
    for name, array in result.items():
        np.testing.assert_allclose(array, bench.weights[name] + 3)
    said = rounds.record.model_dump_json() + "".join(logged) + "".join(capfd.readouterr())
    assert CANARY not in said
    assert "atlantis" not in said


def test_a_site_that_replies_twice_is_left_out(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    twice = [bench.reply(requests["south"], "south", add=add) for add in (900.0, 1.0)]
    others = [bench.reply(requests[site], site) for site in ("east", "north", "west")]
    result = rounds.close([twice[0], *others, twice[1]])
    assert [(one.site, one.reason) for one in rounds.record.dropped] == [("south", DropReason.DUPLICATE)]
    assert result is not None
    np.testing.assert_allclose(result["heads.os.weight"], bench.weights["heads.os.weight"] + 1)


def test_a_node_outside_the_roster_cannot_speak_for_a_site(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    stranger = Message(requests["south"].content, dst_node_id=999, message_type="train")
    intruder = bench.reply(stranger, "south", add=900.0)
    honest = [bench.reply(requests[site], site) for site in requests]
    result = rounds.close([intruder, *honest])
    assert [(one.site, one.node, one.reason) for one in rounds.record.dropped] == [
        (None, 999, DropReason.UNKNOWN_NODE)
    ]
    assert result is not None
    np.testing.assert_allclose(result["heads.os.weight"], bench.weights["heads.os.weight"] + 1)


def test_a_site_with_no_patients_in_a_branch_has_no_part_in_it(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    patients = {"patients": 400.0, "branches.rna": 0.0}  # all it enrolled, and no word on the head
    none = bench.reply(requests["south"], "south", add=900.0, patients=patients)
    others = [bench.reply(requests[site], site) for site in ("east", "north", "west")]
    result = rounds.close([none, *others])
    assert rounds.record.dropped == ()
    assert result is not None
    for name in ("branches.rna.weight", "heads.os.weight"):
        np.testing.assert_allclose(result[name], bench.weights[name] + 1)
    assert (result["shared.weight"] > bench.weights["shared.weight"] + 1).all()


def test_each_site_is_held_to_what_it_enrolled_itself(bench: "Bench") -> None:
    rounds = bench.rounds()
    small = rounds.run.roster.statistics["south"].model_copy(update={"patients": 29})
    rounds.run.roster.statistics["south"] = small
    requests = rounds.ask()
    rounds.close([bench.reply(requests[site], site) for site in requests])  # 30 patients each
    assert [(one.site, one.reason) for one in rounds.record.dropped] == [("south", DropReason.WEIGHT_INVALID)]


def test_evaluate_replies_are_checked_too(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask_to_evaluate(4)
    replies = [bench.evaluation(requests[site], site, 0.25) for site in ("east", "north")]
    replies += [bench.reply(requests["south"], "south"), bench.evaluation(requests["west"], "north", 9.0)]
    rounds.close_evaluation(replies)
    record = rounds.record
    assert (record.kind, record.round, record.validation_loss, record.applied) == ("evaluate", 4, 0.25, True)
    assert {(one.site, one.reason) for one in record.dropped} == {
        ("south", DropReason.INVALID_MESSAGE),
        ("west", DropReason.WRONG_SITE),
    }


def test_every_reason_has_its_sentence() -> None:
    assert set(REASONS) == set(DropReason)
    assert len(set(REASONS.values())) == len(DropReason)
