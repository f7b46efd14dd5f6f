"""A plug-in as a federation file names it."""

from pydantic import BaseModel, ConfigDict, Field


class Plugin(BaseModel):
    """Code from outside that a federation needs, installed by every hospital for itself.

    Attributes:
        package: name of the installed distribution.
        version: of it.
        sha256: over the paths and contents of its files (`common.plugins.distribution`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    package: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=100)
    version: str = Field(pattern=r"^[A-Za-z0-9.!+_-]+$", max_length=60)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
