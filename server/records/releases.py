"""Releases that a coordinator has made, in one file of its folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import UnreadableFileError
from common.files import write_whole
from common.release.manifest import Parent, Version, name_of, number_of


class Released(BaseModel):
    """A release.

    Attributes:
        version: `NAME-N`.
        run: name of the run that it was made of.
        sha256: of its manifest.
        parent: release before it; None for the first of its name.
        revoked: versions that it names as revoked.
        onnx: whether it has an ONNX twin.
        others: runs of the other members of an ensemble.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Version
    run: str
    sha256: str
    parent: Parent | None
    revoked: tuple[Version, ...] = ()
    onnx: bool = False
    others: tuple[str, ...] = ()


class Releases(BaseModel):
    """All releases in order, and the versions that were revoked since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    released: tuple[Released, ...] = ()
    revoked: tuple[Version, ...] = ()

    def of_run(self, run: str) -> Released | None:
        """Return the release that was made of a run."""
        return next((release for release in self.released if release.run == run), None)

    def last(self, name: str) -> Released | None:
        """Return the last release of a federation of that name."""
        ours = [release for release in self.released if name_of(release.version) == name]
        return max(ours, key=lambda release: number_of(release.version), default=None)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_whole(path, self.model_dump_json(indent=2).encode() + b"\n")


def read_releases(path: Path) -> Releases:
    """Read the releases of a coordinator; none before the first.

    Raises:
        InputError: if the file is damaged.
    """
    if not path.exists():
        return Releases()
    try:
        return Releases.model_validate_json(path.read_bytes())
    except ValidationError:
        remedy = "put it back from a backup: a version must never be given twice"
        raise UnreadableFileError(str(path), "is damaged", remedy) from None
