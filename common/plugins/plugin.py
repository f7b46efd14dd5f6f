"""A plug-in as a federation file names it."""

from pydantic import Field

from common.agreed import Agreed, about


class Plugin(Agreed):
    """Code from outside that a federation needs, installed by every hospital for itself."""

    package: str = Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
        max_length=100,
        description="Name of the installed distribution.",
        json_schema_extra=about(example="my-plugin", change="Copy it from `consilium plugins`."),
    )
    version: str = Field(
        pattern=r"^[A-Za-z0-9.!+_-]+$",
        max_length=60,
        description="Version of the distribution.",
        json_schema_extra=about(example="1.0.2", change="Copy it from `consilium plugins`."),
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 over the paths and contents of its files.",
        json_schema_extra=about(
            example="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            change="Copy it from `consilium plugins`.",
        ),
    )
