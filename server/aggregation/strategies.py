"""Strategies: rules that make the next weights of a run of those that hospitals trained.

FedAvg (McMahan et al. 2017), per averaging group g, with n_k(g) training patients, or 1 under privacy, at hospital k:

    p  <-  sum_k  n_k(g) / N(g) * p_k,      N(g) = sum_k n_k(g),

over the hospitals with n_k(g) > 0; a parameter stays as it is when there are none: a hospital without a modality has no
say in that branch. FedProx (Li et al. 2020) differs at the hospital only. FedAdam and FedYogi (Reddi et al. 2021) take
the difference d between that average and the parameters sent out as a gradient,

    m <- b1 m + (1 - b1) d,     FedAdam:  v <- b2 v + (1 - b2) d^2
                                FedYogi:  v <- v - (1 - b2) d^2 sign(v - d^2)
    p <- p + eta m / (sqrt(v) + tau),

FedAdam with the correction of its first steps of Kingma & Ba 2015; in arithmetic as Flower's strategies of these names,
which a test compares to the bit.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # the coordinator looks names up without PyTorch
    from server.aggregation.averaging import Weights
    from server.aggregation.contributions import Contributions


Array = NDArray[Any]
"""Weights of a parameter, or figures of the same shape."""


class Strategy(Protocol):
    """Rule for the next weights of a run.

    An object serves one run. A rule that keeps state from round to round is also `Remembering`, so that a run can be
    resumed.
    """

    def next_weights(self, contributions: "Contributions") -> "Weights":
        """Return the weights after a round, with the names and shapes of `contributions.sent`.

        Called once a round. The result must not depend on the order in which hospitals answered.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """Strategy that keeps state from round to round, which a checkpoint of the run has to hold."""

    def memory(self) -> dict[str, "Weights"]:
        """The state: name -> parameter -> array, with the parameters of the weights."""
        ...

    def remember(self, memory: dict[str, "Weights"]) -> None:
        """Take over the state of an object that served the run before."""
        ...


class FedAvg:
    """The mean of hospitals' weights, weighted by patients."""

    def next_weights(self, contributions: "Contributions") -> "Weights":
        """The mean per averaging group."""
        return contributions.mean()


@dataclass
class _Adaptive(ABC):
    """A step along the mean change of a round, scaled per parameter.

    Attributes:
        eta: learning rate.
        beta_1: decay of the first moment.
        beta_2: decay of the second.
        tau: added to the root of the second moment.
    """

    eta: float
    beta_1: float = 0.9
    beta_2: float = 0.99
    tau: float = 1e-3
    _first: "Weights" = field(default_factory=dict, init=False)
    _second: "Weights" = field(default_factory=dict, init=False)

    def next_weights(self, contributions: "Contributions") -> "Weights":
        """The stepped weights; momentum does not move the parameters that nobody trained."""
        sent, mean = contributions.sent, contributions.mean()
        change = {name: array - sent[name] for name, array in mean.items()}
        first = self._first or {name: np.zeros_like(array) for name, array in mean.items()}
        second = self._second or {name: np.zeros_like(array) for name, array in mean.items()}
        self._first = {
            name: self.beta_1 * array + (1 - self.beta_1) * change[name] for name, array in first.items()
        }
        self._second = {name: self._moment(array, change[name]) for name, array in second.items()}
        rate = self._rate(contributions.number)
        contributors = contributions.contributors()
        stepped = dict(sent)
        for name in (name for name in sent if contributors[name]):
            step = rate * self._first[name] / (np.sqrt(self._second[name]) + self.tau)
            stepped[name] = (sent[name] + step).astype(np.float32)
        return stepped

    def memory(self) -> dict[str, "Weights"]:
        """Both moments; none before the first round."""
        return {"first": self._first, "second": self._second} if self._first else {}

    def remember(self, memory: dict[str, "Weights"]) -> None:
        """Take over both moments."""
        self._first, self._second = memory.get("first", {}), memory.get("second", {})

    @abstractmethod
    def _moment(self, second: Array, change: Array) -> Array:
        """The second moment after a round."""

    @abstractmethod
    def _rate(self, number: int) -> float:
        """The learning rate of a round."""


class FedAdam(_Adaptive):
    """Adam's step at the coordinator."""

    def _moment(self, second: Array, change: Array) -> Array:
        moment: Array = self.beta_2 * second + (1 - self.beta_2) * (change**2)
        return moment

    def _rate(self, number: int) -> float:
        corrected = np.sqrt(1 - np.power(self.beta_2, number + 1.0))
        rate: np.float64 = self.eta * corrected / (1 - np.power(self.beta_1, number + 1.0))
        return rate


class FedYogi(_Adaptive):
    """Yogi's step at the coordinator."""

    def _moment(self, second: Array, change: Array) -> Array:
        moment: Array = second - (1.0 - self.beta_2) * (change**2) * np.sign(second - change**2)
        return moment

    def _rate(self, number: int) -> float:
        return self.eta
