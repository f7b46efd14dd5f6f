"""Strategies that a federation file can name, on the same hardened aggregation."""

from collections.abc import Callable, Iterable
from pathlib import Path

from flwr.app import ArrayRecord, Message, MetricRecord
from flwr.serverapp.strategy import FedAdam, FedProx, FedYogi

from common.agreement.agreement import Agreement
from common.agreement.settings import Training
from common.messages.packing import Arrays
from server.aggregation.strategy import HardenedFedAvg, Plan
from server.participants.roster import Roster


class HardenedFedProx(FedProx, HardenedFedAvg):
    """FedAvg whose sites add a proximal term; they read its weight from the federation file."""


class HardenedFedAdam(FedAdam, HardenedFedAvg):
    """Flower's FedAdam on the hardened average."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As in `HardenedFedAvg`, with a server step of Adam."""
        arrays, metrics = super().aggregate_train(server_round, replies)
        return self._settled(arrays), metrics


class HardenedFedYogi(FedYogi, HardenedFedAvg):
    """Flower's FedYogi on the hardened average."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """As in `HardenedFedAvg`, with a server step of Yogi."""
        arrays, metrics = super().aggregate_train(server_round, replies)
        return self._settled(arrays), metrics


_STRATEGIES: dict[str, Callable[[Training], HardenedFedAvg]] = {
    "fedavg": lambda training: HardenedFedAvg(),
    "fedprox": lambda training: HardenedFedProx(proximal_mu=training.proximal_mu),
    "fedadam": lambda training: HardenedFedAdam(eta=training.server_learning_rate),
    "fedyogi": lambda training: HardenedFedYogi(eta=training.server_learning_rate),
}


def make_strategy(
    federation: Agreement,
    roster: Roster,
    preprocessing: Arrays,
    fold: int,
    seed: int,
    folder: Path | None = None,
) -> HardenedFedAvg:
    """The strategy a federation file names, for one run; `folder` as in `Plan`."""
    strategy = _STRATEGIES[federation.training.strategy](federation.training)
    strategy.plan = Plan(federation, roster, preprocessing, fold, seed, folder)
    return strategy
