"""Noise of private steps and statistics, drawn at the gate.

Training hands over the clipped sum over a sample; what comes back is the weights after a step along the noised mean.
No clipped sum can therefore leave without its noise, whatever the process that trains does. Numbers are numpy's: the
gate does without torch.
"""

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from client.privacy.randomness import SecretRandom
from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import Privacy

BLOCK = 1 << 14
"""Numbers that are noised at a time: few enough to stay in the processor's cache."""


CLIPPED = 1.001
"""Times the clip norm and the cohort that a clipped sum may be long: clipping rounds."""


Weights = Mapping[str, NDArray[np.float32]]


class NoiseError(Exception):
    """Sum that no honest sample has, or one that is too many."""


def _length(sums: NDArray[np.float64]) -> float:
    """Return the Euclidean norm of sums [P].

    `numpy.linalg.norm` would wake the threads of a BLAS, which then wait busily for longer than a step takes.
    """
    return math.sqrt(float(np.einsum("i,i->", sums, sums)))


def _longest(bound: float, cohort: int | None) -> float:
    """Largest length of an honest sum over the cohort; infinite where its size is not known."""
    return math.inf if cohort is None else CLIPPED * bound * cohort


def _require(sums: NDArray[np.float64], size: int, longest: float) -> None:
    """Refuse sums of another form, or longer than honest ones.

    Raises:
        NoiseError: if they are.
    """
    if sums.shape != (size,) or sums.dtype != np.float64:
        raise NoiseError
    if not _length(sums) <= longest:  # not-a-number is no length
        raise NoiseError


class Steps(Protocol):
    """Steps of one round, wherever they are taken."""

    def take(self, sums: NDArray[np.float64]) -> NDArray[np.float32]:
        """Take a step.

        Args:
            sums: [P] clipped sum over a sample, over the trained parameters in the order of their names.

        Returns:
            [P] the weights after the step.
        """
        ...


class StepsOfRound(Protocol):
    """Maker of a round's steps."""

    def __call__(self, weights: Weights, agreement: Agreement, privacy: Privacy, round_: int) -> Steps:
        """Begin at the trained weights that a round's request brings."""
        ...


class Noise(Protocol):
    """Noise that is added to one request's sums, wherever that is."""

    def take(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Add noise.

        Args:
            sums: [N] over the patients of a site, of whom each adds a bounded part.

        Returns:
            [N] the sums with noise.
        """
        ...


class NoisedSums:
    """Normal noise for the sums of a statistics request, added once.

    Args:
        size: number of the sums.
        bound: largest Euclidean norm of one patient's part.
        noise_multiplier: standard deviation of the noise over the bound.
        cohort: patients of the hospital, or more; None for no bound to a sum.
        secret: where the noise comes from.
    """

    def __init__(
        self,
        size: int,
        bound: float,
        noise_multiplier: float,
        cohort: int | None = None,
        secret: SecretRandom | None = None,
    ) -> None:
        self.size, self._deviation, self._secret = size, noise_multiplier * bound, secret or SecretRandom()
        self._longest = _longest(bound, cohort)
        self.noised: NDArray[np.float64] | None = None

    def take(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """See `Noise.take`.

        Raises:
            NoiseError: if the sums are longer than those of the whole cohort, or were noised before.
        """
        if self.noised is not None:
            raise NoiseError
        _require(sums, self.size, self._longest)
        self.noised = sums + self._deviation * self._secret.normal(self.size)
        return self.noised


class NoisedSteps:
    """Noised gradient descent (DP-SGD) over one round, with the pull of FedProx if it is agreed.

        g = (sums + noise_multiplier clip_norm N(0, 1)) / expected_batch_size
        w <- w - rate (g + mu (w - w0))

    The noise is drawn and added in float64 and the sum is then rounded, so that the low bits of a float32 normal number
    (Mironov 2012) are not there to be read. The pull depends on no patient.

    Args:
        weights: the trained parameters of the request.
        agreement: the federation file.
        privacy: the terms at this site.
        round_: number of the round.
        cohort: patients of the hospital, or more; None for no bound to a sum.
        secret: where the noise comes from.
    """

    def __init__(
        self,
        weights: Weights,
        agreement: Agreement,
        privacy: Privacy,
        round_: int,
        cohort: int | None = None,
        secret: SecretRandom | None = None,
    ) -> None:
        training = agreement.training
        self._names = sorted(weights)
        self._shapes = {name: weights[name].shape for name in self._names}
        parts = [weights[name].astype(np.float32).reshape(-1) for name in self._names]
        self._first = np.concatenate([np.zeros(0, np.float32), *parts])
        self._now = self._first.copy()
        self._privacy, self._secret = privacy, secret or SecretRandom()
        self._rate = np.float32(privacy.learning_rate * training.decay(round_))
        self._pull = np.float32(training.proximal_mu if training.strategy == "fedprox" else 0.0)
        self._longest = _longest(privacy.clip_norm, cohort)
        self._left = privacy.steps

    @property
    def size(self) -> int:
        """Number of trained weights."""
        return len(self._now)

    @property
    def over(self) -> bool:
        """Whether all steps of the round were taken."""
        return self._left == 0

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The trained parameters after the last step."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes.values()])[:-1]
        parts = np.split(self._now, ends)
        return {name: part.reshape(self._shapes[name]) for name, part in zip(self._names, parts, strict=True)}

    def take(self, sums: NDArray[np.float64]) -> NDArray[np.float32]:
        """See `Steps.take`.

        Raises:
            NoiseError: if the sum is longer than the clipped gradients of the whole cohort, or a step too many.
        """
        if self._left == 0:
            raise NoiseError
        _require(sums, self.size, self._longest)
        self._left -= 1
        deviation = self._privacy.noise_multiplier * self._privacy.clip_norm
        expected = np.float32(self._privacy.expected_batch_size)
        after = np.empty_like(self._now)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, self.size, BLOCK):
                block = slice(start, min(start + BLOCK, self.size))
                noised = self._secret.normal(block.stop - start)
                noised *= deviation
                noised += sums[block]
                gradient = noised.astype(np.float32)
                gradient /= expected
                if self._pull:
                    gradient += self._pull * (self._now[block] - self._first[block])
                gradient *= self._rate
                np.subtract(self._now[block], gradient, out=after[block])
        self._now = after
        return self._now
