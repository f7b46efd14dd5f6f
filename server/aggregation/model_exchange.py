"""One sending of a model to every hospital of a run, and the replies that count.

An exchange is made with its requests and closed with the replies to them; nothing of it is kept for the next one. An
accepted reply has parameters p_k and, for every averaging group g of the model, a weight n_k(g) >= 0
(`server.aggregation.hospital_weights`); a strategy makes the next weights of them (`server.aggregation.strategies`).
With fewer usable replies than the quorum nothing changes. The result does not depend on the order of arrival.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from flwr.app import Array, ArrayRecord, Message, MessageType, Metadata

from common.agreement.agreement import Agreement
from common.errors import InvalidContentError
from common.families.registry import family_of
from common.messages.exchange import (
    EvaluateReply,
    ModelRequest,
    TrainReply,
    read_training,
)
from common.messages.packing import Arrays
from common.models.parameter_groups import AveragingWeights, ParameterGroup
from server.aggregation.averaging import Average, Weights, WeightSpill
from server.aggregation.contributions import Contributions
from server.aggregation.figures_check import check_figures
from server.aggregation.hospital_weights import FirstNumbers, HospitalWeights
from server.aggregation.replies import Collected, Scored, check_weights
from server.aggregation.robust import FEWEST
from server.aggregation.scores import (
    Losses,
    concordance,
    known_metrics,
    levelled,
    site_figures,
    site_losses,
    training_loss,
    validation_error,
    validation_loss,
    validation_noise,
)
from server.aggregation.strategies import Strategy
from server.aggregation.update_limit import UpdateLimit
from server.participants.roster import Roster
from server.records.journal import RoundRecord, SiteRecord


@dataclass(frozen=True)
class RunContext:
    """Everything that stays the same over all rounds of a run.

    Attributes:
        folder: where weights wait to be averaged; the system's temporary folder by default.
        first: numbers of patients by which hospitals weigh, which grow as hospitals reply for the first time.
        far: hospital -> numbers of its quantities that lie far from other hospitals', which it is told.
        name: of the run, by which hospitals know it again when it is resumed; empty for none.
    """

    federation: Agreement
    roster: Roster
    preprocessing: Arrays
    fold: int
    seed: int
    folder: Path | None = None
    first: FirstNumbers = field(default_factory=dict)
    far: Mapping[str, Sequence[int]] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training exchange.

    Attributes:
        arrays: the next weights; None without a quorum.
        record: of the exchange.
        losses: of the weights that were sent.
    """

    arrays: ArrayRecord | None
    record: RoundRecord
    losses: Losses


@dataclass(frozen=True)
class EvaluationResult:
    """Result of an evaluation: its record, and the losses of the weights that were sent."""

    record: RoundRecord
    losses: Losses


class ModelExchange:
    """Requests that carry a model to every hospital of a run.

    Args:
        run: the run.
        kind: what the hospitals do with the model.
        number: the round.
        arrays: the model's weights.
        clock: seconds, for how long the exchange took.

    Attributes:
        requests: a request per participant of the roster.
    """

    def __init__(
        self,
        run: RunContext,
        kind: Literal["train", "evaluate"],
        number: int,
        arrays: ArrayRecord,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run, self._kind, self._number = run, kind, number
        self._weights = unpacked(arrays)
        request = ModelRequest(
            federation=run.federation.digest,
            round=number,
            fold=run.fold,
            seed=run.seed,
            run=run.name,
            weights=dict(self._weights),
            preprocessing=run.preprocessing,
        )
        content = request.to_record()
        contents = {
            site: request.model_copy(update={"far": [*numbers]}).to_record()
            for site, numbers in run.far.items()
        }
        ttl = run.federation.rounds.deadline_s
        type_ = MessageType.TRAIN if kind == "train" else MessageType.EVALUATE
        self.requests = tuple(
            Message(contents.get(site, content), node, type_, ttl=ttl)
            for site, node in run.roster.nodes.items()
        )
        self._clock, self._began = clock, clock()

    @property
    def _sent(self) -> list[Metadata]:
        return [request.metadata for request in self.requests]  # with the ids that Flower sets when sending

    def _record(
        self,
        collected: Collected[TrainReply] | Collected[EvaluateReply],
        behind: dict[str, AveragingWeights],
    ) -> tuple[RoundRecord, Losses]:
        federation = self._run.federation
        tasks = federation.task_names
        sites = {reply.site: known_metrics(reply.metrics, tasks) for reply in collected.accepted}
        noise = _noise(federation)
        figures = levelled(site_figures(sites, tasks, federation.declared_patients is not None), noise)
        shared = {site: weights.shared for site, weights in behind.items()}
        record = RoundRecord(
            kind=self._kind,
            round=self._number,
            seconds=round(self._clock() - self._began, 3),
            training_loss=training_loss(figures, shared),
            validation_loss=validation_loss(figures),
            validation_error=validation_error(figures),
            validation_noise=validation_noise(figures, noise),
            concordance=concordance(figures, tasks),
            sites={
                site: SiteRecord(
                    patients=behind[site].to_numbers() if site in behind else {},
                    metrics=numbers,
                    sha256=collected.sha256[site],
                )
                for site, numbers in sites.items()
            },
            dropped=collected.dropped,
            applied=len(collected.accepted) >= federation.quorum,
        )
        losses = site_losses(figures, noise)
        # of fewer than three, one that lies would choose the round
        are_enough = len(losses) >= min(FEWEST, len(collected.accepted))
        return record, losses if are_enough else {}

    def _check_figures(self, reply: Scored) -> Scored:
        """Return a reply whose figures patients can have.

        Raises:
            UnusableReplyError: if they cannot.
        """
        federation = self._run.federation
        enrolled = self._run.roster.statistics[reply.site].patients
        most = (federation.declared_patients or {}).get(reply.site, enrolled)
        check_figures(reply.metrics, family_of(federation).scores(federation), most)
        return reply


class TrainExchange(ModelExchange):
    """Exchange in which every hospital trains the model; arguments as of `ModelExchange`."""

    def __init__(
        self,
        run: RunContext,
        number: int,
        arrays: ArrayRecord,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(run, "train", number, arrays, clock)

    def close(self, replies: Iterable[Message], strategy: Strategy) -> TrainingResult:
        """Make the next weights, float32, of the replies that count, read one at a time.

        Raises:
            InvalidContentError: if the strategy returns weights of another form.
        """
        run = self._run
        groups = family_of(run.federation).groups(run.federation, self._weights)
        with WeightSpill(run.folder) as spill:
            average = Average(self._weights, groups, spill)
            named = sorted({*average.groups, ParameterGroup.SHARED}, key=lambda group: group.name)

            hospitals = HospitalWeights(run.federation, run.first)
            enrolled = {site: answer.patients for site, answer in run.roster.statistics.items()}
            limit = UpdateLimit(run.federation, self._number, self._weights, enrolled)

            def take(reply: TrainReply) -> TrainReply:
                self._check_figures(reply)
                hospitals.check(reply.patients, named, enrolled[reply.site])
                check_weights(reply, self._weights)
                limit.check(reply.site, reply.weights)
                average.put(reply.site, reply.weights)
                return reply.model_copy(update={"weights": {}})

            form = partial(read_training, before=self._weights, wire=run.federation.wire)
            collected = Collected.of(form, replies, run.roster.sites, self._sent, self._number, take)
            weights = {
                reply.site: hospitals.of(reply.site, reply.patients, named) for reply in collected.accepted
            }
            record, losses = self._record(collected, weights)
            if not record.applied:
                return TrainingResult(None, record, losses)
            contributions = Contributions(self._number, self._weights, weights, average)
            following = packed(self._checked(strategy.next_weights(contributions)))
            return TrainingResult(following, record, losses)

    def _checked(self, weights: Weights) -> Weights:
        shapes = {name: array.shape for name, array in self._weights.items()}
        if (
            not isinstance(weights, Mapping)
            or {name: getattr(array, "shape", None) for name, array in weights.items()} != shapes
        ):
            strategy = self._run.federation.training.strategy
            what = f"next_weights of {strategy} returned other names or shapes than those it was given"
            remedy = "correct the strategy: it must return an array for every name in contributions.sent"
            raise InvalidContentError("training.strategy", what, remedy)
        return {name: weights[name].astype(np.float32, copy=False) for name in self._weights}


class EvaluateExchange(ModelExchange):
    """Exchange in which every hospital evaluates the model; arguments as of `ModelExchange`."""

    def __init__(
        self,
        run: RunContext,
        number: int,
        arrays: ArrayRecord,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(run, "evaluate", number, arrays, clock)

    def close(self, replies: Iterable[Message]) -> EvaluationResult:
        """Read the replies, and pool the figures of the weights that were sent."""
        sites = self._run.roster.sites
        collected = Collected.of(
            EvaluateReply.from_record, replies, sites, self._sent, self._number, self._check_figures
        )
        return EvaluationResult(*self._record(collected, {}))


def packed(weights: Weights) -> ArrayRecord:
    """Weights by name as Flower's record."""
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def unpacked(arrays: ArrayRecord) -> Weights:
    """Weights as arrays by name, float32."""
    return {name: array.numpy().astype(np.float32, copy=False) for name, array in arrays.items()}


def _noise(federation: Agreement) -> float:
    """Standard deviation of the noise on one site's sum of losses."""
    return federation.statistics.loss_noise * family_of(federation).ceiling(federation)
