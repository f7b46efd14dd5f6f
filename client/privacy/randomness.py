"""ChaCha20 random numbers with a key from the operating system.

A coordinator cannot repeat them.

A torch generator on the CPU keeps 32 bits of its seed: whoever knows the weights sent and received can try all of
them and take the noise away. Here the key has 256 bits, is drawn anew for every use and is never stored.
"""

import math
import os

import torch
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from torch import Tensor


class SecretRandom:
    """Stream of secret random numbers, different for every instance."""

    def __init__(self) -> None:
        stream = algorithms.ChaCha20(os.urandom(32), os.urandom(16))
        self._keystream = Cipher(stream, mode=None).encryptor()

    def uniform(self, count: int) -> Tensor:
        """Draw [count] float64, multiples of 2^-53 in [0, 1)."""
        drawn = bytearray(self._keystream.update(bytes(8 * count)))
        words = torch.frombuffer(drawn, dtype=torch.int64) if count else torch.empty(0, dtype=torch.int64)
        return (words >> 11 & (1 << 53) - 1).double() * 2.0**-53

    def normal(self, count: int) -> Tensor:
        """Draw [count] float64, standard normal (Box & Muller 1958); none lies beyond 8.6."""
        half = (count + 1) // 2
        first, second = self.uniform(2 * half).view(2, half)
        radius, angle = (-2 * (1 - first).log()).sqrt(), 2 * math.pi * second
        return torch.cat([radius * angle.cos(), radius * angle.sin()])[:count]
