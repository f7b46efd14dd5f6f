"""The format of a line of receipts, which others verify by their own programs."""

import json
from pathlib import Path

from tests.client.receipts.conftest import lines


def test_a_line_is_json_with_a_hash_that_anyone_can_compute(path: Path) -> None:
    import hashlib

    previous = "0" * 64
    for line in lines(path):
        entry = json.loads(line)
        text = json.dumps(entry["receipt"], sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()
        assert entry["hash"] == previous
