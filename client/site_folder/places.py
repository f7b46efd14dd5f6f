"""Paths in a site folder: keys, agreement, receipts and running state."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from common.addresses import host_port, split_address
from common.agreement.agreement import FILE_NAME, PATIENTS
from common.errors import MissingFileError
from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.reading.objections import invalid_content

APPROVAL_FILE = "approval.json"


Kept = TypeVar("Kept", bound=BaseModel)


@dataclass(frozen=True)
class Home:
    """Paths in a site folder."""

    folder: Path

    @property
    def key(self) -> Path:
        """Private key of the node, which speaks for this hospital and signs the receipts."""
        return self.folder / "keys" / "node_key"

    @property
    def public_key(self) -> Path:
        """Public key of the node, which the coordinator enrols."""
        return self.folder / "keys" / "node_key.pub"

    @property
    def authority(self) -> Path:
        """Certificate of the authority that vouches for the coordinator."""
        return self.folder / "keys" / "ca.crt"

    @property
    def connection(self) -> Path:
        """File with the coordinator's address."""
        return self.folder / "connection.json"

    @property
    def agreement(self) -> Path:
        """Hospital's copy of the federation file, with its public files beside."""
        return self.folder / "agreement" / FILE_NAME

    @property
    def approval(self) -> Path:
        """File of the approval."""
        return self.agreement.parent / APPROVAL_FILE

    @property
    def intake(self) -> Path:
        """Report of the last intake of the tables."""
        return self.folder / "intake.json"

    @property
    def receipts(self) -> Path:
        """Record of every message that left."""
        return self.folder / "receipts" / "receipts.jsonl"

    @property
    def releases(self) -> Path:
        """Folder of the releases that were adopted, every one of them."""
        return self.folder / "releases"

    @property
    def state(self) -> Path:
        """Folder of the running services."""
        return self.folder / "state"

    @property
    def cache(self) -> Path:
        """Cache of the parsed tables, with patients' values; it can be removed at any time."""
        return self.state / "cache"

    @property
    def residual(self) -> Path:
        """Residual of the last update's encoding; it can be removed at any time."""
        return self.state / "residual" / "residual.safetensors"

    @property
    def asked(self) -> Path:
        """Folder with the weights that every run sent last; it can be removed at any time."""
        return self.state / "asked"

    @property
    def far(self) -> Path:
        """Note of the columns that lie far from other hospitals'; it can be removed at any time."""
        return self.folder / "records" / "far.json"

    @property
    def answers(self) -> Path:
        """Folder with the last reply to every run; without it, a repeated request is refused."""
        return self.state / "answers"

    @property
    def logs(self) -> Path:
        """Logs of the running services, which may never leave the hospital."""
        return self.state / "logs"

    @property
    def launcher(self) -> Path:
        """Folder with our `flwr-clientapp`, the first on the path of the services."""
        return self.state / "bin"


class Connection(BaseModel):
    """Coordinator's address, and the ways between the hospital's own processes.

    Attributes:
        coordinator: HOST:PORT.
        port: between SuperNode and gate, on this machine.
        app_socket: at which the app listens under an account of its own; None where the gate starts it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coordinator: Annotated[str, AfterValidator(lambda text: host_port(*split_address(text)))]
    port: int = Field(default=9094, ge=1, le=65535)
    app_socket: Path | None = None

    @property
    def host(self) -> str:
        """Name or address of the coordinator."""
        return split_address(self.coordinator)[0]

    @property
    def coordinator_port(self) -> int:
        """Port of the coordinator."""
        return split_address(self.coordinator)[1]


class ApprovedGroup(BaseModel):
    """Parameters of the approved model that are averaged together.

    Attributes:
        modality: whose patients train them; None for all.
        task: whose labelled patients train them; None for all.
        parameters: their names.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str | None
    task: str | None
    parameters: tuple[str, ...]


class Approval(BaseModel):
    """Approval of a federation file by a hospital.

    Attributes:
        federation: the file's digest.
        version: of the installed package, which was reviewed.
        code: SHA-256 of its files. An approval from before it was noted is for no code, and has to be given again.
        at: when, ISO 8601 in UTC.
        kind: of record; an approval from before there were others does not name it.
        unit: of privacy.
        weights: parameter -> shape of the model that was approved; the gate lets no other leave.
        groups: averaging groups of its parameters by name, in the order of a message.
        linear: parameters of its additive linear part.
        intake: SHA-256 of the rules of intake by which tables are read; empty for none.
        user: name of the user who approved; empty in an earlier approval.
        state: state folder outside the site folder at that time; empty likewise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str = Field(pattern=r"^[0-9a-f]{64}$")
    version: str
    code: str = ""
    at: str
    kind: str = PATIENTS
    unit: str = "patient"
    weights: dict[str, tuple[int, ...]]
    groups: dict[str, ApprovedGroup]
    linear: tuple[str, ...]
    intake: str = ""
    user: str = ""
    state: str = ""

    @property
    def model_groups(self) -> ModelGroups:
        """Averaging groups as they were approved, without a model."""
        groups = {name: ParameterGroup(name, part.modality, part.task) for name, part in self.groups.items()}
        by_parameter = {
            parameter: groups[name] for name, part in self.groups.items() for parameter in part.parameters
        }
        return ModelGroups(by_parameter, frozenset(self.linear), tuple(groups.values()))


def approved_groups(groups: ModelGroups) -> dict[str, ApprovedGroup]:
    """Averaging groups in the form of an approval."""
    return {
        group.name: ApprovedGroup(
            modality=group.modality,
            task=group.task,
            parameters=tuple(name for name, other in groups.by_parameter.items() if other == group),
        )
        for group in groups.groups
    }


def read_connection(home: Home) -> Connection:
    """Read the coordinator's address.

    Raises:
        InputError: if the site folder was never made ready, or the file was spoilt.
    """
    return _read(home.connection, Connection, "run `consilium site init` first")


def read_approval(home: Home) -> Approval:
    """Read the hospital's approval.

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
