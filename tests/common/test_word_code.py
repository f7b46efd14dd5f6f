"""Word codes of digests: 44 bits or more, and a fixed list."""

import math

from common.word_code import LENGTH, WORDS, word_code


def test_a_word_stands_for_every_byte_and_the_code_for_48_bits() -> None:
    assert len(WORDS) == len(set(WORDS)) == 256
    assert LENGTH * math.log2(len(WORDS)) >= 44
    assert word_code("00" * 32) == "-".join(["acid"] * 6)
    assert word_code("ff" + "00" * 31).startswith("zebra-acid")
