"""Federated averaging that takes nothing on trust.

Site k of the accepted replies returns parameters p_k and, for every averaging group g of the model, its
number of training patients n_k(g) >= 0. A parameter of group g becomes (McMahan et al. 2017, per group)

    p  <-  sum_k  n_k(g) / N(g) * p_k,      N(g) = sum_k n_k(g),

over the sites with n_k(g) > 0, and stays as it is when there are none: a hospital without a modality has no
say in that branch. Sums are float64 over sites in order of name, cast to float32 at the end, so the
result does not depend on the order of arrival (`server.aggregation.averaging`). With fewer usable replies
than the quorum nothing changes.

FedProx (Li et al. 2020) differs at the site only. FedAdam and FedYogi (Reddi et al. 2021) are Flower's own:
they take the difference d between that average and the parameters sent out as a gradient,

    m <- b1 m + (1 - b1) d,     FedAdam:  v <- b2 v + (1 - b2) d^2
                                FedYogi:  v <- v - (1 - b2) d^2 sign(v - d^2)
    p <- p + eta m / (sqrt(v) + tau).

A reply of the right form with finite but ill-meant weights is beyond these checks.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MessageType, Metadata, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from common.agreement.agreement import Agreement
from common.families.registry import family_of
from common.messages.exchange import (
    EvaluateReply,
    ModelRequest,
    TrainReply,
    read_training,
)
from common.messages.packing import Arrays
from common.models.parameter_groups import AveragingWeights, ParameterGroup, counted
from server.aggregation.averaging import Aside, Average, Weights
from server.aggregation.replies import Collected, check_weights
from server.aggregation.scores import (
    concordance,
    known_metrics,
    training_loss,
    validation_error,
    validation_loss,
)
from server.participants.roster import Roster
from server.records.journal import RoundRecord, SiteRecord


@dataclass(frozen=True)
class Plan:
    """Settings of all rounds of a run; weights wait in `folder` to be averaged (`server.aggregation.averaging`)."""

    federation: Agreement
    roster: Roster
    preprocessing: Arrays
    fold: int
    seed: int
    folder: Path | None = None


class HardenedFedAvg(FedAvg):
    """FedAvg over named participants; made by `make_strategy`.

    Attributes:
        plan: the run it serves.
        record: the journal's record of the last exchange aggregated.
    """

    plan: Plan
    record: RoundRecord

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One request per participant of the roster; `config` does not travel."""
        return self._requests(MessageType.TRAIN, server_round, arrays)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One request per participant of the roster; `config` does not travel."""
        return self._requests(MessageType.EVALUATE, server_round, arrays)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The new global weights, float32, or None without a quorum; and the round's pooled figures."""
        federation = self.plan.federation
        groups = family_of(federation).groups(federation, self._weights)
        with Aside(self.plan.folder) as aside:
            average = Average(self._weights, groups, aside)
            named = sorted({*average.groups, ParameterGroup.SHARED}, key=lambda group: group.name)

            def behind(reply: TrainReply) -> AveragingWeights:
                return AveragingWeights.from_numbers(reply.patients, named, counted(federation.privacy))

            def take(reply: TrainReply) -> TrainReply:
                enrolled = self.plan.roster.statistics[reply.site].patients
                check_weights(reply, self._weights, behind(reply), enrolled)
                average.put(reply.site, reply.weights)
                return reply.model_copy(update={"weights": {}})

            form = partial(read_training, before=self._weights, wire=federation.wire)
            collected = Collected.of(form, replies, self.plan.roster.sites, self._sent, server_round, take)
            weights = {reply.site: behind(reply) for reply in collected.accepted}
            metrics = self._close("train", server_round, collected, weights)
            if not self.record.applied:
                return None, metrics
            heard = {group for group in named if any(site[group] > 0 for site in weights.values())}
            self._unheard = {name for name in self._weights if groups[name] not in heard}
            return _packed(average.of(weights)), metrics

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The pooled figures of the weights sent out."""
        collected = Collected.of(
            EvaluateReply.from_record,
            replies,
            self.plan.roster.sites,
            self._sent,
            server_round,
            lambda reply: reply,
        )
        return self._close("evaluate", server_round, collected, {})

    def summary(self) -> None:
        """Log who takes part and how many must reply."""
        logging.getLogger("flwr").info(
            "\t└──> %d participants, quorum %d", len(self.plan.roster.nodes), self.plan.federation.quorum
        )

    def _requests(self, kind: str, server_round: int, arrays: ArrayRecord) -> list[Message]:
        plan = self.plan
        self._weights: Weights = unpacked(arrays)
        content = ModelRequest(
            federation=plan.federation.digest,
            round=server_round,
            fold=plan.fold,
            seed=plan.seed,
            weights=dict(self._weights),
            preprocessing=plan.preprocessing,
        ).to_record()
        ttl = plan.federation.rounds.deadline_s
        requests = [Message(content, node, kind, ttl=ttl) for node in plan.roster.nodes.values()]
        self._sent: list[Metadata] = [
            request.metadata for request in requests
        ]  # Flower sets their ids when sending
        self._began = time.monotonic()
        return requests

    def _close(
        self,
        kind: Literal["train", "evaluate"],
        server_round: int,
        collected: Collected[TrainReply] | Collected[EvaluateReply],
        behind: dict[str, AveragingWeights],
    ) -> MetricRecord:
        tasks = self.plan.federation.task_names
        sites = {reply.site: known_metrics(reply.metrics, tasks) for reply in collected.accepted}
        shared = {site: weights.shared for site, weights in behind.items()}
        self.record = RoundRecord(
            kind=kind,
            round=server_round,
            seconds=round(time.monotonic() - self._began, 3),
            training_loss=training_loss(sites, shared),
            validation_loss=validation_loss(sites),
            validation_error=validation_error(sites),
            scores=concordance(sites, tasks),
            sites={
                site: SiteRecord(
                    patients=behind[site].to_numbers() if site in behind else {},
                    metrics=numbers,
                    sha256=collected.sha256[site],
                )
                for site, numbers in sites.items()
            },
            dropped=collected.dropped,
            applied=len(collected.accepted) >= self.plan.federation.quorum,
        )
        losses = {"training_loss": self.record.training_loss, "validation_loss": self.record.validation_loss}
        pooled = MetricRecord({name: loss for name, loss in losses.items() if loss is not None})
        pooled.update({f"concordance:{task}": score for task, score in self.record.scores.items()})
        return pooled

    def _settled(self, arrays: ArrayRecord | None) -> ArrayRecord | None:
        """An optimiser's step in float32; momentum must not move the parameters that nobody trained."""
        if arrays is None:
            return None
        stepped = unpacked(arrays)
        return _packed(
            {name: self._weights[name] if name in self._unheard else stepped[name] for name in stepped}
        )


def _packed(weights: Weights) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in weights.items()})


def unpacked(arrays: ArrayRecord) -> Weights:
    """Weights as arrays by name, float32."""
    return {name: array.numpy().astype(np.float32, copy=False) for name, array in arrays.items()}
