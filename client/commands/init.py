"""Command `consilium site init`: node key, coordinator's address, and a site file."""

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from pydantic import ValidationError

from client.runtime.local_port import choose_port, require_usable
from client.site_folder.keys import new_key, read_key, read_public_key
from client.site_folder.places import Connection, Home, read_connection
from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.agreed import one_spelling
from common.errors import IntegrityError, OptionError, StateError, UnreadableFileError
from common.files import write_whole
from common.node_keys import fingerprint, public_text
from common.reading.objections import first_problem

SKELETON = """\
{name}
id = "patient"                   # your column of patient identifiers; it is read here and nowhere else

# One table of outcomes, and one per modality of the federation file that you have: CSV, Parquet or Excel.
[tables]
outcomes = "outcomes.csv"
clinical = "clinical.csv"

# Your own column names where they differ from the federation file's.
# [columns.outcomes]
# months = "FU_MONTHS"

# Rules by which your files become such tables: see docs/intake.md; `consilium site intake` proposes them.
# [intake]
# delimiter = ";"
# decimal = ","

# What this hospital allows. The federation file proposes; the stricter of the two holds. Nothing a coordinator sends
# can change it. These are strict: loosen them knowingly.
[policy]
privacy = "required"             # take part only with differential privacy; "allowed": also in federations without it
minimum_noise_multiplier = 1.0   # with [privacy]: more noise is added where the file asks for less
maximum_clip_norm = 1.0
maximum_epsilon = 3.0            # with [privacy]: over everything this cohort ever releases ...
delta = 1e-3                     # ... at this delta; choose less than 1 / patients
minimum_cohort = 20
minimum_count = 5                # no exact number about fewer patients leaves, even where the file allows it
minimum_loss_noise = 2.0         # noise on sums of losses where there is no [privacy], in units of one patient's most
statistics = ["declared"]        # with [privacy]: what preprocessing may be told: declared (nothing), noised, public
# tasks = ["survival"]           # only these
# maximum_update_norm = 10.0     # a round's weights that differ by more stay here
maximum_refusals = 20            # requests per approval that are refused with a reason; then all get one code
maximum_reach = 0.5              # without [privacy]: the most that a round of the file may move a weight
largest_hospital = 10_000        # without [privacy]: the most patients that the file may declare for a hospital
assessment = true                # without [privacy]: sums about the trained model leave once at the end of a run
maximum_linear_rounds = 0        # without [privacy]: rounds of exact gradients, which can tell of single patients
"""


@dataclass(frozen=True)
class InitReport:
    """Outcome of `initialise`.

    Attributes:
        new_files: files that were written.
        kept_files: files that existed and stay as they are.
        fingerprint: of the node key, for the coordinator to compare.
        port: local port between the site's processes.
    """

    new_files: tuple[Path, ...]
    kept_files: tuple[Path, ...]
    fingerprint: str
    port: int


def initialise(
    home: Home, name: str, coordinator: str, authority: Path, port: int | None = None
) -> InitReport:
    """Make a folder ready to be a site; no file is overwritten.

    Args:
        home: the site folder.
        name: name of the hospital.
        coordinator: HOST:PORT.
        authority: the coordinator's ca.crt.
        port: local port; None keeps the port that is set, or takes the default, or the next free one.

    Raises:
        InputError: if an argument is not usable, or contradicts a file that exists.
    """
    try:
        connection = Connection(coordinator=coordinator, port=_port(home, port))
    except ValidationError as error:
        remedy = "write it like fl.example.org:9443, and an IPv6 address like [2001:db8::1]:9443"
        raise OptionError("--coordinator", first_problem(error)[1], remedy) from None
    certificate = _certificate(authority)
    name = one_spelling(name)
    if not name or len(name) > 120 or not name.isprintable():
        raise OptionError("--name", "is empty, too long or not printable", "use the hospital's name")
    _require_no_contradiction(home, name, connection, certificate)
    _make_folders(home)
    new_files, kept_files = [], []
    if not home.key.exists():
        write_whole(home.key, new_key()[0], 0o600)
        new_files.append(home.key)
    public = read_key(home.key).public_key()
    skeleton = SKELETON.format(name=tomli_w.dumps({"name": name}).strip())
    files = {
        home.public_key: public_text(public),
        home.authority: certificate,
        home.connection: connection.model_dump_json(indent=2).encode() + b"\n",
        home.folder / SITE_FILE: skeleton.encode(),
    }
    for path, content in files.items():
        if path.exists():
            kept_files.append(path)
        else:
            write_whole(path, content)
            new_files.append(path)
    if fingerprint(read_public_key(home.public_key)) != fingerprint(public):
        raise IntegrityError(
            str(home.public_key),
            "does not belong to the node key",
            "remove this file and run `consilium site init` again",
        )
    return InitReport(tuple(new_files), tuple(kept_files), fingerprint(public), connection.port)


def _make_folders(home: Home) -> None:
    """Make the site folder and that of the keys, closed to other users."""
    if not home.folder.exists():
        home.folder.mkdir(0o750, parents=True)
    mode = stat.S_IMODE(home.folder.stat().st_mode)
    if mode & 0o007:
        home.folder.chmod(mode & ~0o007)
    home.key.parent.mkdir(exist_ok=True)
    home.key.parent.chmod(0o700)


def _port(home: Home, asked: int | None) -> int:
    if asked is not None:
        require_usable(asked)
        return asked
    return read_connection(home).port if home.connection.exists() else choose_port()


def _certificate(path: Path) -> bytes:
    """Content of a file that holds certificates in PEM form."""
    content = path.read_bytes()
    try:
        ssl.create_default_context(cadata=content.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError):
        raise UnreadableFileError(
            str(path), "holds no certificate in PEM form", "ask the coordinator for ca.crt"
        ) from None
    return content


def _require_no_contradiction(home: Home, name: str, connection: Connection, certificate: bytes) -> None:
    remedy = "change or remove it yourself; nothing is overwritten"
    if (home.folder / SITE_FILE).exists() and parse_site_file(home.folder).name != name:
        raise StateError(str(home.folder / SITE_FILE), "names another hospital already", remedy)
    if home.connection.exists() and read_connection(home).coordinator != connection.coordinator:
        raise StateError(str(home.connection), "names another coordinator already", remedy)
    if home.connection.exists() and read_connection(home).port != connection.port:
        what = f"names another local port already, {read_connection(home).port}"
        raise StateError(str(home.connection), what, remedy)
    if home.authority.exists() and home.authority.read_bytes() != certificate:
        raise StateError(str(home.authority), "is another certificate than the given one", remedy)
