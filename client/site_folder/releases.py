"""Releases that a hospital has adopted: every file, and a record of which is in use.

A release is verified each time that it is opened, with the certificate of the coordinator's authority that the site
has had since `consilium site init`: no other key is trusted, and none comes with the file.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from client.site_folder.places import Home, read_approval
from common.errors import ApprovalError, IntegrityError, StateError, UnreadableFileError
from common.files import write_whole
from common.node_keys import PublicKey
from common.release.manifest import Digest, Version, name_of, number_of
from common.release.release import ModelRelease, read_release
from common.release.signing import read_verifying_key

RECORD = "adopted.json"


class Adopted(BaseModel):
    """A release that this hospital has adopted.

    Attributes:
        version: `NAME-N`.
        sha256: of its manifest.
        at: when it was adopted first, ISO 8601 in UTC.
        user: who adopted it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Version
    sha256: Digest
    at: str
    user: str


class Adoptions(BaseModel):
    """All releases that were adopted, in order.

    Attributes:
        adopted: the releases.
        current: version in use; None before the first.
        revoked: versions that the coordinator has revoked, as far as adopted releases say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    adopted: tuple[Adopted, ...] = ()
    current: Version | None = None
    revoked: tuple[Version, ...] = ()

    def find(self, version: str) -> Adopted | None:
        """Return the record of a version; None if it was never adopted."""
        return next((release for release in self.adopted if release.version == version), None)

    def newest(self, name: str) -> str | None:
        """Return the highest version of a federation of that name that was ever adopted."""
        ours = [release.version for release in self.adopted if name_of(release.version) == name]
        return max(ours, key=number_of, default=None)

    def before_current(self) -> Adopted | None:
        """Return the last release adopted before the one in use that was not revoked."""
        versions = [release.version for release in self.adopted]
        index = versions.index(self.current) if self.current in versions else 0
        earlier = [release for release in self.adopted[:index] if release.version not in self.revoked]
        return earlier[-1] if earlier else None

    def write(self, home: Home) -> None:
        """Write the record, whole or not at all."""
        write_whole(home.releases / RECORD, self.model_dump_json(indent=2).encode() + b"\n")


def read_adoptions(home: Home) -> Adoptions:
    """Read the record of a site; empty before the first release.

    Raises:
        InputError: if it is damaged.
    """
    path = home.releases / RECORD
    if not path.exists():
        return Adoptions()
    try:
        return Adoptions.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UnreadableFileError(str(path), "is damaged", "put it back from a backup") from None


def file_of(home: Home, version: str) -> Path:
    """Return the file under which a site keeps a release."""
    return home.releases / f"{version}.zip"


def open_release(home: Home, path: Path) -> ModelRelease:
    """Read a release that the coordinator signed, made under the approved federation file.

    Raises:
        InputError: naming what is not as it should be.
    """
    approval = read_approval(home)
    release = read_release(path, _key(home))
    if release.manifest.federation != approval.federation:
        what = (
            f"was made under the federation file {release.manifest.federation[:10]}, and this hospital approved "
            f"{approval.federation[:10]}"
        )
        raise ApprovalError(
            str(path),
            what,
            "approve that file by `consilium site approve`, or get the release of the approved one",
        )
    return release


def open_adopted(home: Home) -> ModelRelease:
    """Read the release in use.

    Raises:
        InputError: if there is none, it was revoked, or its file is not the one that was adopted.
    """
    adoptions = read_adoptions(home)
    record = None if adoptions.current is None else adoptions.find(adoptions.current)
    if record is None:
        what, remedy = "no release is adopted here", "adopt one by `consilium site adopt SITE FILE`"
        raise StateError(str(home.folder), what, remedy)
    return open_record(home, adoptions, record)


def open_record(home: Home, adoptions: Adoptions, record: Adopted) -> ModelRelease:
    """Read a release that was adopted, whatever federation file was approved since.

    Raises:
        InputError: if it was revoked, or its file is not the one that was adopted.
    """
    path = file_of(home, record.version)
    if record.version in adoptions.revoked:
        what = f"the coordinator has revoked {record.version}"
        remedy = "adopt a later one, or go back by `consilium site adopt SITE --back`"
        raise StateError(str(path), what, remedy)
    release = read_release(path, _key(home))
    if release.manifest.sha256 != record.sha256 or release.version != record.version:
        what = f"is not the {record.version} that was adopted"
        raise IntegrityError(str(path), what, "adopt its file again, and find out who changed it")
    return release


def _key(home: Home) -> PublicKey:
    return read_verifying_key(home.authority, "ask the coordinator for ca.crt")
