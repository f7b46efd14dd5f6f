"""ChaCha20 random numbers with a key from the operating system.

A coordinator cannot repeat them.

A torch generator on the CPU keeps 32 bits of its seed: whoever knows the weights sent and received can try all of
them and take the noise away. Here the key has 256 bits, is drawn anew for every use and is never stored.
"""

import math
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray


class SecretRandom:
    """Stream of secret random numbers, different for every instance."""

    def __init__(self) -> None:
        stream = algorithms.ChaCha20(os.urandom(32), os.urandom(16))
        self._keystream = Cipher(stream, mode=None).encryptor()

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Draw [count] float64, multiples of 2^-53 in [0, 1)."""
        words = np.frombuffer(self._keystream.update(bytes(8 * count)), np.uint64)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def normal(self, count: int) -> NDArray[np.float64]:
        """Draw [count] float64, standard normal (Box & Muller 1958); none lies beyond 8.6."""
        half = (count + 1) // 2
        first, second = self.uniform(2 * half).reshape(2, half)
        radius, angle = np.sqrt(-2 * np.log(1 - first)), 2 * math.pi * second
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
