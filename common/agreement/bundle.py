"""The bundle that a coordinator submits to Flower: two text files without code.

It names the installed package.

Flower sends a bundle to every hospital, which would run the code in it. This one has two text files, both of which
follow from the package's version and the federation file alone: a hospital computes the hash of the only bundle it
will start, and refuses any other.
"""

import hashlib
import re
from importlib.metadata import version
from pathlib import Path

import tomli_w

from common.agreement.agreement import Agreement

PACKAGE = "consilium"


RUN = "run"
"""The one key of the run configuration: the name of the run's folder at the coordinator."""


_DESCRIPTOR, _README = "pyproject.toml", "README.md"


def write_bundle(folder: Path, federation: Agreement) -> None:
    """Write the Flower app project of a federation into a folder, made if missing.

    Raises:
        FileExistsError: if one of its files is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in bundle_files(federation).items():
        with (folder / name).open("xb") as file:
            file.write(content)


def bundle_hash(federation: Agreement) -> str:
    """The SHA-256 that Flower gives exactly this bundle, as hexadecimal digits.

    Flower stores the files of a bundle without compression, in order of name and with a fixed date, so the hash is
    the same on every machine that runs Unix.
    """
    return _hash(federation.digest)


def digest_in(bundle: bytes) -> str | None:
    """Digest of the federation file whose bundle this is exactly; None of any other bundle.

    The bundle is searched and compared, and never unpacked.
    """
    named = _NAMED.search(bundle)
    digest = None if named is None else named[1].decode("ascii")
    return digest if digest is not None and _hash(digest) == hashlib.sha256(bundle).hexdigest() else None


def bundle_files(federation: Agreement) -> dict[str, bytes]:
    """The bundle's files by name.

    A run sets no more than its own name, which Flower sends to every hospital: no path of the coordinator travels.
    What `server.app` reads beside it is in the run's folder there.
    """
    return _files(federation.digest)


_NAMED = re.compile(rb"\nfederation ([0-9a-f]{64})\n")


def _hash(digest: str) -> str:
    from flwr.cli.build import build_fab_from_files  # brings a web framework, which a worker never needs

    files: dict[str, bytes | Path] = dict(_files(digest))
    bundle, _ = build_fab_from_files(files)
    return hashlib.sha256(bundle).hexdigest()


def _files(digest: str) -> dict[str, bytes]:
    descriptor = {
        "project": {
            "name": PACKAGE,
            "version": version(PACKAGE),
            "description": "Names an installed package; carries no code.",
            "license": "Apache-2.0",
            "dependencies": [],
        },
        "tool": {
            "flwr": {
                "app": {
                    "publisher": PACKAGE,
                    "fab-include": [_README],
                    "components": {"serverapp": "server.app:app", "clientapp": "client.app:app"},
                    "config": {RUN: ""},
                }
            }
        },
    }
    readme = f"{PACKAGE} {version(PACKAGE)}\nfederation {digest}\n"
    return {_DESCRIPTOR: tomli_w.dumps(descriptor).encode(), _README: readme.encode()}
