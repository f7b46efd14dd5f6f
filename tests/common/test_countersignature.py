"""A countersignature is the coordinator's own, about one node key, and nothing else is taken for it."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from common.countersignature import (
    LONGEST,
    CountersignatureError,
    Received,
    countersigned,
    read_countersigned,
)

MESSAGES = [("8", "ab" * 32), ("8", "cd" * 32)]


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture
def text(key: ec.EllipticCurvePrivateKey) -> str:
    return countersigned(Received.of("SHA256:me", MESSAGES), key)


def test_it_says_how_many_there_are_and_which_was_the_last(
    text: str, key: ec.EllipticCurvePrivateKey
) -> None:
    received = read_countersigned(text, key.public_key())
    assert (received.key, received.count, received.run, received.sha256) == ("SHA256:me", 2, *MESSAGES[-1])
    assert received.digest != Received.of("SHA256:me", MESSAGES[::-1]).digest
    nothing = Received.of("SHA256:me", [])
    assert (nothing.count, nothing.run, nothing.sha256) == (0, "", "")


def test_it_stays_short(key: ec.EllipticCurvePrivateKey) -> None:
    long = Received.of("SHA256:" + "k" * 43, [(str(2**64 - 1), "ab" * 32)] * 10_000)
    assert len(countersigned(long, key)) < LONGEST / 2


def test_another_key_and_a_change_are_noticed(text: str, key: ec.EllipticCurvePrivateKey) -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    content = json.loads(text)
    changed = json.dumps({**content, "received": content["received"].replace('"count":2', '"count":1')})
    unsigned = json.dumps({**content, "signature": ""})
    for sent, public in ((text, other), (changed, key.public_key()), (unsigned, key.public_key())):
        with pytest.raises(CountersignatureError):
            read_countersigned(sent, public)


@pytest.mark.parametrize("sent", [None, 8, "", "{}", "[]", "null", "[" * 1500, "x" * (LONGEST + 1)])
def test_what_is_no_statement_is_none(sent: object, key: ec.EllipticCurvePrivateKey) -> None:
    with pytest.raises(CountersignatureError):
        read_countersigned(sent, key.public_key())
