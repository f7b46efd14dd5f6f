"""The coordinator's folder: its keys, its agreement, its state and its runs."""

import fcntl
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from common.addresses import host_port, parse_host
from common.agreement.agreement import FILE_NAME
from common.agreement.folder import copy_agreement
from common.checking.checking import sound_agreement
from common.errors import MissingFileError, OptionError, StateError
from common.files import sync_folder, write_whole
from common.lifetime.leftovers import draft
from common.reading.objections import first_problem
from common.reading.toml_file import read_toml
from server.home.certificates import certificate_bytes, key_bytes, new_authority, new_server, write_secret
from server.home.first_draft import FIRST_DRAFT
from server.home.nginx import nginx_configuration
from server.home.tracking_settings import TrackingSettings

SETTINGS, ENROLLED = "coordinator.toml", "enrolled.json"


HOME_VARIABLE = "CONSILIUM_COORDINATOR_HOME"
"""Tells the process that does a run's work where the coordinator's folder is."""


class Settings(BaseModel):
    """Content of `coordinator.toml`.

    Attributes:
        host: name or address that hospitals dial.
        port: that they dial.
        internal_port: of the SuperLink on this machine.
        tracking: sinks of the figures of runs; None for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: Annotated[str, AfterValidator(parse_host)]
    port: int = Field(default=9443, ge=1, le=65535)
    internal_port: int = Field(ge=1024, le=65535)
    tracking: TrackingSettings | None = Field(default=None, exclude_if=lambda tracking: tracking is None)

    @property
    def address(self) -> str:
        """HOST:PORT as hospitals are told it."""
        return host_port(self.host, self.port)


@dataclass(frozen=True)
class CoordinatorHome:
    """The places in a coordinator's folder."""

    folder: Path

    @property
    def secrets(self) -> Path:
        """Private keys and the secret that lets this coordinator's own processes fetch work."""
        return self.folder / "secrets"

    @property
    def authority(self) -> Path:
        """The root certificate: every hospital is given a copy."""
        return self.folder / "ca.crt"

    @property
    def authority_key(self) -> Path:
        """Private key of the authority, which signs the certificate of the coordinator's address."""
        return self.secrets / "ca.key"

    @property
    def certificate(self) -> Path:
        """Certificate of the coordinator's address with its private key, in one file to match."""
        return self.secrets / "server.pem"

    @property
    def superexec_secret(self) -> Path:
        """Secret by which a process may be handed the work of a run."""
        return self.secrets / "superexec.secret"

    @property
    def dashboard_token(self) -> Path:
        """SHA-256 of the token that browsers bring to the dashboard; absent before one is made."""
        return self.secrets / "dashboard.token"

    @property
    def agreement(self) -> Path:
        """The folder of the federation file and its public files."""
        return self.folder / "federation"

    @property
    def enrolled(self) -> Path:
        """Keys that speak for hospitals."""
        return self.folder / ENROLLED

    @property
    def withdrawn(self) -> Path:
        """Keys that spoke for a hospital and never will again."""
        return self.folder / "withdrawn.json"

    @property
    def runs(self) -> Path:
        """One folder per run."""
        return self.folder / "runs"

    @property
    def releases(self) -> Path:
        """Releases that were made, with their versions."""
        return self.folder / "releases.json"

    @property
    def logs(self) -> Path:
        """One log per service."""
        return self.folder / "logs"

    @property
    def services(self) -> Path:
        """The supervisor's state file."""
        return self.folder / "state" / "services.json"

    @property
    def database(self) -> Path:
        """The SuperLink's SQLite database."""
        return self.folder / "state" / "superlink.db"

    @property
    def flower(self) -> Path:
        """Flower's own folder, in place of the one in the user's home."""
        return self.folder / "state" / "flwr"

    @property
    def proxy(self) -> Path:
        """The prefix of nginx."""
        return self.folder / "state" / "nginx"

    @property
    def launcher(self) -> Path:
        """A folder with our `flwr-serverapp`, the first on the path of the SuperExec."""
        return self.folder / "state" / "bin"

    def settings(self) -> Settings:
        """Read `coordinator.toml`.

        Raises:
            InputError: if this is no coordinator's folder, or the file does not fit.
        """
        path = self.folder / SETTINGS
        remedy = "make the folder with `consilium coordinator init`"
        file = read_toml(path, MissingFileError(str(self.folder), f"has no {SETTINGS}", remedy))
        try:
            return Settings.model_validate(file.data)
        except ValidationError as error:
            raise file.invalid(error) from None


def open_home(folder: Path) -> CoordinatorHome:
    """The coordinator's folder, checked to be one, with an absolute path.

    Raises:
        InputError: if it is not one.
    """
    home = CoordinatorHome(folder.absolute())
    home.settings()
    return home


@contextmanager
def exclusive(home: CoordinatorHome) -> Iterator[None]:
    """Keep other commands from changing who is enrolled, or the certificate, meanwhile.

    Raises:
        InputError: if another command is at it.
    """
    with (home.folder / "state" / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = "another command is changing this coordinator"
            raise StateError(str(home.folder), what, "try again when it has ended") from None
        yield


def create_home(folder: Path, host: str, port: int, federation: Path | None) -> CoordinatorHome:
    """Make a coordinator's folder, whole or not at all.

    Without a federation folder it gets a first draft of a federation file.

    Raises:
        InputError: if there is something at `folder`, an argument does not fit or the federation cannot be read.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise StateError(str(folder), "is there already", "name a folder that does not exist yet")
    try:
        settings = Settings(host=host, port=port, internal_port=free_port())
    except ValidationError as error:
        key, what = first_problem(error)
        raise OptionError(f"--{key}", what, "give the address to which hospitals connect") from None
    if federation is not None:
        sound_agreement(federation)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with draft(f".{folder.name}.draft-", folder.parent) as new:
        _fill(CoordinatorHome(new), settings, federation)
        new.replace(folder)
        try:
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(folder)
            raise
    return open_home(folder)


def _fill(home: CoordinatorHome, settings: Settings, federation: Path | None) -> None:
    for path in (home.secrets, home.agreement, home.runs, home.logs, home.flower, home.proxy):
        path.mkdir(parents=True, mode=0o700)
    authority, signer = new_authority(f"Consilium coordinator {settings.host}"[:64])
    server, key = new_server(authority, signer, [settings.host])
    write_whole(home.authority, certificate_bytes(authority))
    write_secret(home.authority_key, key_bytes(signer))
    write_secret(home.certificate, key_bytes(key) + certificate_bytes(server))
    write_secret(home.superexec_secret, secrets.token_hex(32).encode())
    write_whole(home.enrolled, b"{}\n")
    if federation is None:
        write_whole(home.agreement / FILE_NAME, FIRST_DRAFT.encode())
    else:
        copy_agreement(federation / FILE_NAME, home.agreement)
    write_whole(home.folder / SETTINGS, tomli_w.dumps(settings.model_dump()).encode())
    write_proxy(home, settings)


def write_proxy(home: CoordinatorHome, settings: Settings) -> Path:
    """Write nginx's configuration, made anew at each start, and return its file."""
    path = home.proxy / "nginx.conf"
    # paths from here: nginx would read a meaning into some characters of an absolute one
    certificate, authority = (
        os.path.relpath(file, home.proxy) for file in (home.certificate, home.authority)
    )
    text = nginx_configuration(settings.port, settings.internal_port, certificate, authority, speaks_ipv6())
    write_whole(path, text.encode())
    return path


def speaks_ipv6() -> bool:
    """Whether this machine has IPv6. Without it nginx would not start at such an address."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as listener:
            listener.bind(("::", 0))
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
