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

ZEROS = memoryview(bytes(1 << 18))
"""Text whose encryption is the keystream; kept, because new memory costs more than the cipher."""


class SecretRandom:
    """Stream of secret random numbers, different for every instance."""

    def __init__(self) -> None:
        stream = algorithms.ChaCha20(os.urandom(32), os.urandom(16))
        self._keystream = Cipher(stream, mode=None).encryptor()

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Draw [count] float64, multiples of 2^-53 in [0, 1)."""
        words = np.empty(count, np.uint64)
        text = words.view(np.uint8).data
        for start in range(0, len(text), len(ZEROS)):
            block = text[start : start + len(ZEROS)]
            self._keystream.update_into(ZEROS[: len(block)], block)
        words >>= np.uint64(11)
        # Processors convert int64 at once, and uint64 in many steps.
        uniform = words.view(np.int64).astype(np.float64)
        uniform *= 2.0**-53
        return uniform

    def normal(self, count: int) -> NDArray[np.float64]:
        """Draw [count] float64, standard normal (Box & Muller 1958); none lies beyond 8.6.

        Cosine and sine of an angle follow from the tangent of its half, in a quarter of the time and with the same
        error, some 1e-16 of the radius.
        """
        half = (count + 1) // 2
        radius, tangent = self.uniform(2 * half).reshape(2, half)
        np.subtract(1, radius, out=radius)
        np.log(radius, out=radius)
        radius *= -2
        np.sqrt(radius, out=radius)
        tangent *= math.pi
        np.tan(tangent, out=tangent)
        square = tangent * tangent
        normal = np.empty((2, half))
        np.subtract(1, square, out=normal[0])
        np.multiply(2, tangent, out=normal[1])
        square += 1
        radius /= square
        normal *= radius
        return normal.reshape(-1)[:count]
