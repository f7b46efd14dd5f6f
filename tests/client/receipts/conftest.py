"""Keys and receipts that the tests of this room share."""

from pathlib import Path

import pytest

from client.receipts.book import append_receipt
from client.receipts.receipt import Receipt
from client.site_folder.keys import new_key, read_key, read_public_key
from common.node_keys import PublicKey

COUNT = 5


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("own", "other"):
        private, public = new_key()
        (folder / name).write_bytes(private)
        (folder / f"{name}.pub").write_bytes(public)
        (folder / name).chmod(0o600)
    return folder


@pytest.fixture(autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are shared, and what is counted outside is counted by key."""
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path_factory.mktemp("state")))


@pytest.fixture
def public(keys: Path) -> PublicKey:
    return read_public_key(keys / "own.pub")


def receipt(number: int = 1) -> Receipt:
    return Receipt(
        run="8",
        request=f"request-{number}",
        round=number,
        asked="train",
        message="TrainReply",
        verdict="passed",
        numbers={"metrics": {"training_loss": 1 / 3}},
        size_bytes=12,
        sha256="ab" * 32,
        update_norm=0.1,
    )


def write(path: Path, keys: Path, count: int = COUNT) -> Path:
    for number in range(1, count + 1):
        assert append_receipt(path, receipt(number), read_key(keys / "own")).number == number
    return path


@pytest.fixture
def path(tmp_path: Path, keys: Path) -> Path:
    return write(tmp_path / "receipts" / "receipts.jsonl", keys)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)
