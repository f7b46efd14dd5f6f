"""A site folder: where its keys, its agreement, its receipts and its running state lie."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.agreement.agreement import FILE_NAME, PATIENTS
from common.errors import MissingFileError, invalid_content

APPROVAL_FILE = "approval.json"


Kept = TypeVar("Kept", bound=BaseModel)


@dataclass(frozen=True)
class Home:
    """The places in a site folder."""

    folder: Path

    @property
    def key(self) -> Path:
        """The node's private key: it speaks for this hospital, and signs its receipts."""
        return self.folder / "keys" / "node_key"

    @property
    def public_key(self) -> Path:
        """The node's public key, which the coordinator enrols."""
        return self.folder / "keys" / "node_key.pub"

    @property
    def authority(self) -> Path:
        """The certificate of who vouches for the coordinator's."""
        return self.folder / "keys" / "ca.crt"

    @property
    def connection(self) -> Path:
        """Where the coordinator is."""
        return self.folder / "connection.json"

    @property
    def agreement(self) -> Path:
        """The hospital's own copy of the federation file, its public files beside it."""
        return self.folder / "agreement" / FILE_NAME

    @property
    def approval(self) -> Path:
        """What was approved, and when."""
        return self.agreement.parent / APPROVAL_FILE

    @property
    def receipts(self) -> Path:
        """The record of every message that left."""
        return self.folder / "receipts" / "receipts.jsonl"

    @property
    def state(self) -> Path:
        """What the running services keep."""
        return self.folder / "state"

    @property
    def cache(self) -> Path:
        """What was built of the tables and the agreement, patients' values among it; it can be removed at any time."""
        return self.state / "cache"

    @property
    def residual(self) -> Path:
        """Residual of encoding the last update (`client.training.error_feedback`); it can be removed at any time."""
        return self.state / "residual.safetensors"

    @property
    def logs(self) -> Path:
        """What the running services say, which may never leave the hospital."""
        return self.state / "logs"

    @property
    def launcher(self) -> Path:
        """A folder with our `flwr-clientapp`, the first on the path of the services."""
        return self.state / "bin"


class Connection(BaseModel):
    """Where the coordinator is, and the local port its SuperNode listens on for the hospital's own processes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    coordinator: str = Field(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$|^\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}$")
    port: int = Field(default=9094, ge=1, le=65535)

    @property
    def host(self) -> str:
        """The coordinator's name or address."""
        return self.coordinator.rpartition(":")[0].strip("[]")

    @property
    def coordinator_port(self) -> int:
        """The coordinator's port."""
        return int(self.coordinator.rpartition(":")[2])


class Approval(BaseModel):
    """A hospital's approval of a federation file.

    Attributes:
        federation: the file's digest.
        version: of the installed package, which was reviewed.
        at: when, ISO 8601 in UTC.
        kind: of record; an approval from before there were others does not name it.
        unit: of privacy.
        weights: parameter -> shape of the model that was approved; the gate lets no other leave.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str = Field(pattern=r"^[0-9a-f]{64}$")
    version: str
    at: str
    kind: str = PATIENTS
    unit: str = "patient"
    weights: dict[str, tuple[int, ...]]


def read_connection(home: Home) -> Connection:
    """Where the coordinator is.

    Raises:
        InputError: if the site folder was never made ready, or the file was spoilt.
    """
    return _read(home.connection, Connection, "run `consilium site init` first")


def read_approval(home: Home) -> Approval:
    """What the hospital approved.

    Raises:
        InputError: if it approved nothing, or the file was spoilt.
    """
    return _read(home.approval, Approval, "run `consilium site approve` first")


def _read(path: Path, kind: type[Kept], remedy: str) -> Kept:
    try:
        return kind.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise MissingFileError(str(path), "there is no such file", remedy) from None
    except ValidationError as error:
        raise invalid_content(str(path), error, remedy) from None
