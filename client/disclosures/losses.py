"""Losses as they leave a hospital without privacy: capped, noised and rounded to a grid.

Rounding alone is no protection against whoever chooses the weights: a second number, such as a bias, moves the sum to
the edge of a step, and there one patient decides. Every number therefore gets normal noise of `loss_noise` times the
most that one patient can add, and is rounded afterwards. The noise follows from a secret of the site, the question and
the exact numbers: the same question has the same answer however often it is asked, and another question has other
noise.

A validation patient's loss depends on no other patient. Whoever knows all other patients and chooses the weights
therefore learns about one patient at most the sum of what the numbers of an answer tell. A number tells at most
1/2 log2(1 + 1 / (4 s^2)) bits, the capacity of a channel with amplitude 1/2 and noise s: s is `loss_noise` for the
loss, and `loss_noise` sqrt(k) for each of k numbers of pairs, the concordant and the comparable ones of every task. One
patient is in as many pairs as there are other patients, once for every output that is judged by itself.

Nothing else may depend on a patient: pairs that are left out below a number of events would say which side of it the
patient is on, and with noise none are left out here. The training loss has its own patients.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import torch

from common.evaluation.pairs import Pairs
from common.families.family import Score
from common.messages.exchange import ModelRequest
from common.messages.validation import (
    MEAN_STEP,
    ValidationSums,
    comparable,
    concordant,
    on_grid,
    pairs_scale,
)


@dataclass(frozen=True)
class LossRelease:
    """Noise of one answer.

    Attributes:
        key: secret of the site.
        question: hash of the request.
        noise: standard deviation, in units of the most that one patient adds; 0 leaves the numbers exact.
        ceiling: largest loss of a patient that counts.
        scores: of the family, whose pairs leave.
        least: units on either side of a score's pairs, fewer of which do not leave.
    """

    key: bytes
    question: bytes
    noise: float
    ceiling: float
    scores: Sequence[Score]
    least: int

    def validation(self, sums: ValidationSums) -> ValidationSums:
        """Return the validation sums as they leave."""
        if self.noise == 0:
            return sums
        exact = repr(sorted(sums.named().items()))
        loss = sums.loss + self._noise("loss", exact) * self.ceiling
        pairs = {score.name: self._pairs(score, sums, exact) for score in self.scores}
        return ValidationSums(loss, sums.patients, pairs).rounded(self.ceiling)

    def _pairs(self, score: Score, sums: ValidationSums, exact: str) -> Pairs:
        """Return the pairs of a score with noise, within what so many patients make; none if few."""
        name, units = score.name, int(sums.patients)
        scale = pairs_scale(score.of_one(units), len(self.scores))
        right, counted = (
            number + self._noise(kind, exact) * scale
            for number, kind in zip(sums.pairs[name], (concordant(name), comparable(name)), strict=True)
        )
        counted = on_grid(counted, 0.0, score.most(units))
        return Pairs(right, counted) if counted >= score.fewest(self.least) else Pairs.none()

    def training(self, losses: torch.Tensor) -> float:
        """Return the mean of the patients' losses [B] as it leaves."""
        capped = losses.double().cpu().nan_to_num(math.inf).clamp(0.0, self.ceiling)
        total = float(capped.sum())
        if self.noise == 0:
            return total / len(losses)
        noised = total + self._noise("training", repr((total, len(losses)))) * self.ceiling
        return on_grid(noised / len(losses), 0.0, self.ceiling, MEAN_STEP)

    def _noise(self, name: str, exact: str) -> float:
        """Draw the noise of a number, which this question about these patients always gets."""
        text = self.question + f"{name} {exact}".encode()
        drawn = int.from_bytes(hashlib.blake2b(text, key=self.key, digest_size=8).digest()) >> 12
        return self.noise * NormalDist().inv_cdf((drawn + 0.5) / 2**52)


def question_of(request: ModelRequest) -> bytes:
    """Hash of the weights and the preprocessing of a request.

    Its round and its seed change no validation loss: they must not draw other noise for the same one.
    """
    digest = hashlib.sha256()
    for arrays in (request.weights, request.preprocessing):
        for name, array in sorted(arrays.items()):
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.digest()


def bits_per_answer(noise: float, scores: int) -> float:
    """Return the most that an answer tells about one patient, in bits, whatever else is known.

    Args:
        noise: standard deviation, in units of the most that one patient adds.
        scores: how many, each of which has its pairs.
    """
    if noise == 0:
        return math.inf
    return (
        _capacity(noise) + 2 * scores * _capacity(pairs_scale(noise, scores)) if scores else _capacity(noise)
    )


def _capacity(noise: float) -> float:
    """Bits that one number tells, whose amplitude is 1/2."""
    return 0.5 * math.log2(1 + 1 / (4 * noise**2))
