"""Identity of the installed code, by a hash over its files.

A version is a string that the code states of itself; the hash is taken from outside.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PACKAGES = ("client", "common", "consilium", "server", "simulations")
"""Packages of the wheel."""


class Software(BaseModel):
    """Software that a model was trained with, as the coordinator had it.

    Attributes:
        consilium: version that the package states.
        code: SHA-256 of its files, as `code_hash` has it.
        torch: version of PyTorch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    consilium: str
    code: str
    torch: str

    @classmethod
    def installed(cls) -> "Software":
        """Describe what is installed here."""
        return cls(consilium=version("consilium"), code=code_hash(), torch=version("torch"))


def code_hash(folder: Path = Path(__file__).parents[1]) -> str:
    """Return the SHA-256 of the files of all packages in a folder.

    It is taken over their sorted paths, every path followed by the SHA-256 of the file's content; bytecode is left out.
    """
    whole = hashlib.sha256()
    for path in sorted(_files(folder)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\n{content}\n".encode())
    return whole.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in (folder / package).rglob("*"):
            if "__pycache__" not in path.parts and path.is_file():
                yield path
