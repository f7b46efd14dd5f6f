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
        InputError: as `plugin_of`.
    """
    named = {
        installed.metadata["Name"]: installed for installed in distributions() if _entry_points(installed)
    }
    for name in sorted(named):
        yield plugin_of(named[name])


def find_plugin(package: str) -> Distribution:
    """The installed distribution of that name.

    Raises:
        InputError: if it is not installed, or brings no plug-in.
    """
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        what = "is named by the federation file and not installed here"
        remedy = "review it, and install it beside consilium yourself; nothing is ever installed by a run"
        raise MissingDependencyError(f"plug-in {package}", what, remedy) from None
    if not _entry_points(installed):
        what = f"has no entry point of the group {GROUP}"
        raise MissingDependencyError(f"plug-in {package}", what, "name a package that brings a plug-in")
    return installed


def _entry_points(installed: Distribution) -> tuple[EntryPoint, ...]:
    return tuple(installed.entry_points.select(group=GROUP))


def entry_points(installed: Distribution) -> tuple[EntryPoint, ...]:
    """Entry points of a plug-in, in order of name."""
    return tuple(sorted(_entry_points(installed), key=lambda point: point.name))


def roots(installed: Distribution) -> frozenset[str]:
    """Top-level modules that the entry points are in."""
    return frozenset(point.module.partition(".")[0] for point in _entry_points(installed))


def plugin_of(installed: Distribution) -> Plugin:
    """The distribution as a federation file names it.

    Raises:
        InputError: if a file is missing or not recorded, or its code lies outside what is recorded.
    """
    return Plugin(package=installed.metadata["Name"], version=installed.version, sha256=files_hash(installed))


def files_hash(installed: Distribution) -> str:
    """Return the SHA-256 of a distribution's files.

    It is taken over their sorted paths, every path followed by the SHA-256 of the file's content.

    Raises:
        InputError: as `plugin_of`.
    """
    whole = hashlib.sha256()
    for name, path in sorted(files(installed).items()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{name}\n{content}\n".encode())
    return whole.hexdigest()


def files(installed: Distribution) -> dict[str, Path]:
    """Return a distribution's files by recorded path, without bytecode and installer's records.

    Raises:
        InputError: as `plugin_of`.
    """
    recorded = {PurePosixPath(entry) for entry in installed.files or ()}
    counted = {path: Path(str(installed.locate_file(path))) for path in recorded if _counts(path)}
    if lost := sorted(str(path) for path, file in counted.items() if not file.is_file()):
        raise _unfit(installed, f"lacks its file {lost[0]}")
    code = {path.parts[0].removesuffix(".py") for path in counted}
    if missing := roots(installed) - code:
        raise _unfit(
            installed, f"has no file of the module {min(missing)}, as if it were installed for editing"
        )
    folders = {path.parts[0] for path in counted if len(path.parts) > 1 and path.parts[0] in roots(installed)}
    for folder in sorted(folders):
        top = Path(str(installed.locate_file(folder)))
        for path in sorted(top.rglob("*")):
            name = PurePosixPath(folder, path.relative_to(top).as_posix())
            if path.is_file() and _counts(name) and name not in recorded:
                raise _unfit(installed, f"has the file {name}, which was not installed with it")
    return {str(path): file for path, file in counted.items()}


def _counts(path: PurePosixPath) -> bool:
    in_metadata = path.parent.name.endswith(".dist-info")
    return _CACHE not in path.parts and not (in_metadata and path.name in _OF_THE_INSTALLER)


def _unfit(installed: Distribution, what: str) -> IntegrityError:
    return IntegrityError(f"plug-in {installed.metadata['Name']}", what, "install it again")
