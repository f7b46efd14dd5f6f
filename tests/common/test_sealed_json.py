import hashlib
import json
from pathlib import Path

import pytest

from common.sealed_json import BrokenSealError, digests, sealed, unsealed

CONTENT = b'{"lowest": 0.25}'


def test_a_sealed_object_is_json_with_the_hash_of_what_was_sealed() -> None:
    assert json.loads(sealed(CONTENT)) == {"seal": hashlib.sha256(CONTENT).hexdigest(), "lowest": 0.25}
    assert unsealed(sealed(CONTENT)) == CONTENT


def test_any_other_byte_breaks_the_seal() -> None:
    whole = sealed(CONTENT)
    for position in range(len(whole)):
        for bit in (0x01, 0x20):
            changed = bytearray(whole)
            changed[position] ^= bit
            with pytest.raises(BrokenSealError):
                unsealed(bytes(changed))


@pytest.mark.parametrize("content", [b"", b"{", CONTENT, sealed(CONTENT)[:-1], sealed(CONTENT) + b"\n"])
def test_content_of_another_length_breaks_the_seal(content: bytes) -> None:
    with pytest.raises(BrokenSealError):
        unsealed(content)


def test_files_are_hashed_by_their_path_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"content")
    assert digests(tmp_path, [tmp_path / "a" / "b"]) == {"a/b": hashlib.sha256(b"content").hexdigest()}
