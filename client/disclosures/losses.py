"""Losses as they leave a hospital without privacy: capped, noised and rounded to a grid.

Rounding alone is no protection against whoever chooses the weights: a second number, such as a bias, moves the sum to
the edge of a step, and there one patient decides. Every number therefore gets normal noise of `loss_noise` times the
most that one patient can add, and is rounded afterwards. The noise follows from a secret of the site, the question and
the exact numbers: the same question has the same answer however often it is asked, and another question has other
noise.

A validation patient's loss depends on no other patient. Whoever knows all other patients and chooses the weights
therefore learns from an answer at most 1/2 log2(1 + a / (4 s^2)) bits about one patient, the capacity of a channel
with amplitude 1/2 and noise s, where s is `loss_noise` and a = 2 for the two kinds of number: the loss, and the
concordant pairs of all tasks together. The training loss has its own patients and a = 1.
"""

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

import torch

from common.evaluation.pairs import Pairs
from common.messages.exchange import ModelRequest
from common.messages.validation import MEAN_STEP, ValidationSums, on_grid

KINDS = 2
"""Kinds of number about a validation patient in an answer."""


@dataclass(frozen=True)
class LossRelease:
    """Noise of one answer.

    Attributes:
        key: secret of the site.
        question: hash of the request.
        noise: standard deviation, in units of the most that one patient adds; 0 leaves the numbers exact.
        ceiling: largest loss of a patient that counts.
    """

    key: bytes
    question: bytes
    noise: float
    ceiling: float

    def validation(self, sums: ValidationSums) -> ValidationSums:
        """Return the validation sums as they leave.

        One patient is in at most as many pairs as there are other patients.
        """
        if self.noise == 0:
            return sums
        most = max(sums.patients - 1, 1.0) * math.sqrt(len(sums.pairs) or 1)
        exact = repr(sorted(sums.named().items()))
        loss = sums.loss + self._noise("loss", exact) * self.ceiling
        pairs = {
            task: Pairs(pair.concordant + self._noise(f"pairs {task}", exact) * most, pair.comparable)
            for task, pair in sums.pairs.items()
        }
        return ValidationSums(loss, sums.patients, pairs).rounded(self.ceiling)

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


def bits_per_answer(noise: float) -> float:
    """Return the most that an answer tells about one patient, in bits, whatever else is known."""
    return math.inf if noise == 0 else 0.5 * math.log2(1 + KINDS / (4 * noise**2))
