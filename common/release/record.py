"""Base classes of what a release holds as JSON."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError


class ReleaseRecord(BaseModel):
    """Part of a member of a release, whose content does not change."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class MemberRecord(ReleaseRecord):
    """Whole member of a release."""

    def content(self) -> bytes:
        """Write the member."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def read(cls, content: bytes) -> Self | None:
        """Read the member; None if it has another form."""
        try:
            return cls.model_validate_json(content)
        except ValidationError:
            return None
