"""Flower app of a hospital: answers to the requests of a run.

Nothing raised here reaches the coordinator: whatever goes wrong becomes a refusal with a code. Whatever is computed
from the cohort and sent is first entered in the hospital's privacy ledger, on the terms of the hospital's own policy.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from traceback import extract_tb

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client.privacy.noise import Noise, StepsOfRound
from client.rounds.assembly import open_site
from client.rounds.assessment import assessment_request
from client.rounds.evaluate import evaluate_request
from client.rounds.kept_reply import KeptReply
from client.rounds.requests import Handler, log
from client.rounds.statistics import statistics_request
from client.rounds.train import train_request
from client.site_folder.places import Home
from common.errors import InputError, Refusal, RefusalCode
from common.lifetime.full_disk import lack_of_room
from common.messages.exchange import (
    ASSESSMENT,
    STATISTICS,
    InvalidMessageError,
    RefusalReply,
    is_refusal,
)
from common.messages.run_identity import run_number

app = ClientApp()


def answered(
    kind: str,
    content: RecordDict,
    context: Context,
    gate_steps: StepsOfRound | None = None,
    gate_noise: Noise | None = None,
) -> RecordDict:
    """Answer a request of this type; whatever goes wrong becomes a refusal.

    Args:
        kind: type of the request.
        content: of the request.
        context: of the node.
        gate_steps: begins private steps at the hospital's gate; None where there is none, as in a simulation.
        gate_noise: adds the noise of statistics at the gate; None likewise.
    """
    name = ""
    try:
        handler = _handlers(run_number(content, context.run_id))[kind]
        site = replace(open_site(context), gate_steps=gate_steps, gate_noise=gate_noise)
        name = site.cohort.site
        return handler(site, content)
    except Refusal as refusal:
        code, cause = refusal.code, refusal.__cause__
    except InvalidMessageError as error:
        code, cause = RefusalCode.REQUEST_INVALID, error
    except Exception as error:
        code, cause = RefusalCode.INTERNAL, error
    if lack_of_room(cause) is not None:
        code = RefusalCode.DISK_FULL
    if cause is None:
        log.info("refused: %s", code)
    else:
        log.warning("refused: %s (%s)", code, _log_text(cause))
    return RefusalReply(site=name, code=code).to_record()


def _handlers(run: int) -> dict[str, Handler]:
    """Functions that answer in a run of this number, by the type of the request."""
    return {
        STATISTICS: partial(statistics_request, run),
        "train": partial(train_request, run),
        "evaluate": partial(evaluate_request, run),
        ASSESSMENT: partial(assessment_request, run),
    }


def _answer(message: Message, context: Context) -> Message:
    """Answer where there is no gate, which keeps a hospital's replies otherwise.

    A simulated site keeps none: what it has of a run is put back with the run's state.
    """
    kind, content = message.metadata.message_type, message.content
    if context.node_config.get("simulated"):
        return Message(answered(kind, content, context), reply_to=message)
    kept = KeptReply(Home(Path(str(context.node_config["site"]))), kind, content, context.run_id)
    with kept.exclusively():
        if (reply := kept.find()) is None:
            reply = answered(kind, content, context)
            if not is_refusal(reply):
                kept.keep(reply)
    return Message(reply, reply_to=message)


def _log_text(cause: BaseException) -> str:
    """Text of a cause for the site's own log.

    A sentence without values, or the kind of error and the line where it arose.
    """
    if isinstance(cause, InputError):
        return str(cause)
    if isinstance(cause, InvalidMessageError):
        return f"{cause}: {cause.reason}"
    frames = extract_tb(cause.__traceback__)
    return type(cause).__name__ + (
        f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    )


@app.query("statistics")
def statistics(message: Message, context: Context) -> Message:
    """Answer `StatisticsRequest` with the site's sums."""
    return _answer(message, context)


@app.train()
def train_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with weights trained at the site."""
    return _answer(message, context)


@app.evaluate()
def evaluate_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with sums of its model's loss at the site."""
    return _answer(message, context)


@app.query("assessment")
def assessment(message: Message, context: Context) -> Message:
    """Answer `AssessmentRequest` with the site's sums about a trained model."""
    return _answer(message, context)
