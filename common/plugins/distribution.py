"""Installed distributions that bring a plug-in, and the hash of their files.

The hash is computed from the files as they are, never taken from what the installer recorded: its record only says
which files there are. A file in the plug-in's folders that is not recorded would be imported without having been
hashed, so a distribution that has one is refused.
"""

import hashlib
from collections.abc import Iterator
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distribution, distributions
from pathlib import Path, PurePosixPath

from common.errors import IntegrityError, MissingDependencyError
from common.plugins.plugin import Plugin

GROUP = "consilium.plugins"
"""Group of entry points; each names a module, or a function without arguments, that makes registrations."""


_CACHE = "__pycache__"


_OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
"""Files beside the metadata that differ between two installations of the same distribution."""


def installed_plugins() -> Iterator[Plugin]:
    """Return the plug-ins of all installed distributions, sorted by name.

    Raises:
        InputError: as `described`.
    """
    named = {found.metadata["Name"]: found for found in distributions() if _entry_points(found)}
    for name in sorted(named):
        yield described(named[name])


def find(package: str) -> Distribution:
    """The installed distribution of that name.

    Raises:
        InputError: if it is not installed, or brings no plug-in.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        what = "is named by the federation file and not installed here"
        remedy = "review it, and install it beside consilium yourself; nothing is ever installed by a run"
        raise MissingDependencyError(f"plug-in {package}", what, remedy) from None
    if not _entry_points(found):
        what = f"has no entry point of the group {GROUP}"
        raise MissingDependencyError(f"plug-in {package}", what, "name a package that brings a plug-in")
    return found


def _entry_points(found: Distribution) -> tuple[EntryPoint, ...]:
    return tuple(found.entry_points.select(group=GROUP))


def entry_points(found: Distribution) -> tuple[EntryPoint, ...]:
    """Entry points of a plug-in, in order of name."""
    return tuple(sorted(_entry_points(found), key=lambda point: point.name))


def roots(found: Distribution) -> frozenset[str]:
    """Top-level modules that the entry points are in."""
    return frozenset(point.module.partition(".")[0] for point in _entry_points(found))


def described(found: Distribution) -> Plugin:
    """The distribution as a federation file names it.

    Raises:
        InputError: if a file is missing or not recorded, or its code lies outside what is recorded.
    """
    return Plugin(package=found.metadata["Name"], version=found.version, sha256=files_hash(found))


def files_hash(found: Distribution) -> str:
    """Return the SHA-256 of a distribution's files.

    It is taken over their sorted paths, every path followed by the SHA-256 of the file's content.

    Raises:
        InputError: as `described`.
    """
    whole = hashlib.sha256()
    for name, path in sorted(files(found).items()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{name}\n{content}\n".encode())
    return whole.hexdigest()


def files(found: Distribution) -> dict[str, Path]:
    """Return a distribution's files by recorded path, without bytecode and installer's records.

    Raises:
        InputError: as `described`.
    """
    recorded = {PurePosixPath(entry) for entry in found.files or ()}
    counted = {path: Path(str(found.locate_file(path))) for path in recorded if _counts(path)}
    if lost := sorted(str(path) for path, file in counted.items() if not file.is_file()):
        raise _unfit(found, f"lacks its file {lost[0]}")
    code = {path.parts[0].removesuffix(".py") for path in counted}
    if missing := roots(found) - code:
        raise _unfit(found, f"has no file of the module {min(missing)}, as if it were installed for editing")
    folders = {path.parts[0] for path in counted if len(path.parts) > 1 and path.parts[0] in roots(found)}
    for folder in sorted(folders):
        top = Path(str(found.locate_file(folder)))
        for path in sorted(top.rglob("*")):
            name = PurePosixPath(folder, path.relative_to(top).as_posix())
            if path.is_file() and _counts(name) and name not in recorded:
                raise _unfit(found, f"has the file {name}, which was not installed with it")
    return {str(path): file for path, file in counted.items()}


def _counts(path: PurePosixPath) -> bool:
    in_metadata = path.parent.name.endswith(".dist-info")
    return _CACHE not in path.parts and not (in_metadata and path.name in _OF_THE_INSTALLER)


def _unfit(found: Distribution, what: str) -> IntegrityError:
    return IntegrityError(f"plug-in {found.metadata['Name']}", what, "install it again")
