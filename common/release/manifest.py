"""Manifest of a release: version, parent, and the SHA-256 of every member."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field

from common.release.record import MemberRecord, ReleaseRecord

VERSION = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}-[1-9][0-9]{0,5}$"
"""Pattern of a version: the federation's name, and a number that only grows at its coordinator."""


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Version = Annotated[str, Field(pattern=VERSION)]


class Member(ReleaseRecord):
    """Size in bytes and SHA-256 of a member."""

    size: int = Field(ge=0)
    sha256: Digest


class Parent(ReleaseRecord):
    """Release before this one, by its version and the SHA-256 of its manifest."""

    version: Version
    sha256: Digest


class Manifest(MemberRecord):
    """Content that a coordinator signs.

    Attributes:
        format: of the file.
        version: of the release.
        parent: the release before it at this coordinator; None for the first of this name.
        federation: digest of the federation file that the run was made under.
        run: name of the run.
        revoked: versions that the coordinator has revoked, and nobody should predict with.
        members: every other member, in the order of the file.
    """

    format: Literal[1] = 1
    version: Version
    parent: Parent | None
    federation: Digest
    run: str = Field(max_length=100)
    revoked: tuple[Version, ...] = ()
    members: dict[str, Member]

    @property
    def name(self) -> str:
        """Name of the federation."""
        return name_of(self.version)

    @property
    def number(self) -> int:
        """Number of the release under that name."""
        return number_of(self.version)

    @property
    def sha256(self) -> str:
        """SHA-256 of the content, by which a later release names this one."""
        return hashlib.sha256(self.content()).hexdigest()

    @classmethod
    def of(
        cls,
        version: str,
        parent: Parent | None,
        federation: str,
        run: str,
        revoked: tuple[str, ...],
        members: Mapping[str, bytes],
    ) -> Self:
        """Make the manifest of these members."""
        listed = {name: member_of(content) for name, content in members.items()}
        return cls(
            version=version, parent=parent, federation=federation, run=run, revoked=revoked, members=listed
        )


def member_of(content: bytes) -> Member:
    """Describe a member."""
    return Member(size=len(content), sha256=hashlib.sha256(content).hexdigest())


def name_of(version: str) -> str:
    """Name of the federation in a version."""
    return version.rpartition("-")[0]


def number_of(version: str) -> int:
    """Number in a version."""
    return int(version.rpartition("-")[2])


def is_version(text: str) -> bool:
    """Whether a text has the form of a version."""
    return re.fullmatch(VERSION, text) is not None
