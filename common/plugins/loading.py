"""Verification and import of a federation file's plug-ins.

A plug-in registers its kinds when it is imported, which happens only after it was verified.

A plug-in is code from outside that a hospital installed for itself. It is used only if the federation file names it
with the version and the hash of the files that are installed; the file's own hash, which a hospital approves, covers
both.
"""

from collections.abc import Iterable
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

from common.errors import IntegrityError
from common.plugins.distribution import entry_points, files, find_plugin, plugin_of, roots
from common.plugins.plugin import Plugin

_registered: dict[str, Plugin] = {}
"""Package -> what was registered in this process; code once imported stays."""


_roots: dict[str, str] = {}
"""Top-level module -> the package that brought it."""


_hashed: dict[str, tuple[tuple[object, ...], Plugin]] = {}
"""Package -> names, sizes and times of its files when they were hashed last, and the result."""


_registering: list[str] = []
"""Package whose registrations are being made, while they are."""


def package_registering() -> str | None:
    """Return the plug-in that is being registered; None for this package itself."""
    return _registering[-1] if _registering else None


def load_plugins(plugins: Iterable[Plugin]) -> None:
    """Verify all these plug-ins, then import each that this process has not imported yet.

    Raises:
        InputError: if one is not installed, has another version or other files, or changed since it was imported.
    """
    verified = [(plugin, _verified(plugin)) for plugin in plugins]
    for plugin, installed in verified:
        _register(plugin, installed)


def load_installed() -> None:
    """Import every installed plug-in, for simulations.

    There is no federation file yet whose plug-ins to use.

    Raises:
        InputError: if one is not whole.
    """
    from common.plugins.distribution import installed_plugins

    load_plugins(list(installed_plugins()))


def package_of(module: str) -> str | None:
    """The plug-in that a module belongs to; None for one that no plug-in brought."""
    return _roots.get(module.partition(".")[0])


def _verified(plugin: Plugin) -> Distribution:
    installed = find_plugin(plugin.package)
    where = f"plug-in {plugin.package}"
    if installed.version != plugin.version:
        what = f"is installed in version {installed.version}, and agreed on is {plugin.version}"
        raise IntegrityError(where, what, "install the agreed version, after a review")
    present = _described(installed)
    if present.sha256 != plugin.sha256:
        what = "is installed with other files than agreed on, though its version is the same"
        remedy = "install the agreed files, or agree on these: `consilium plugins` prints their hash"
        raise IntegrityError(where, what, remedy)
    before = _registered.get(plugin.package)
    if before is not None and before != plugin:
        what = "was changed since this process imported it"
        raise IntegrityError(where, what, "start again")
    return installed


def _described(installed: Distribution) -> Plugin:
    """Describe a plug-in, cached as long as no file of it changes."""
    state = tuple(
        (name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        for name, path in sorted(files(installed).items())
        if (status := path.stat())
    )
    name = installed.metadata["Name"]
    if name not in _hashed or _hashed[name][0] != (installed.version, *state):
        _hashed[name] = (installed.version, *state), plugin_of(installed)
    return _hashed[name][1]


def _register(plugin: Plugin, installed: Distribution) -> None:
    if plugin.package in _registered:
        return
    present = {path.resolve() for path in files(installed).values()}
    for root in sorted(roots(installed)):
        specification = find_spec(root)
        origin = None if specification is None else specification.origin
        if origin is None or Path(origin).resolve() not in present:
            what = f"is hidden: the module {root} would be imported from {origin or 'nowhere'}"
            raise IntegrityError(f"plug-in {plugin.package}", what, "remove what hides it")
        _roots[root] = plugin.package
    _registering.append(plugin.package)
    try:
        for point in entry_points(installed):
            target = point.load()
            if callable(target):
                target()
    finally:
        _registering.pop()
    _registered[plugin.package] = plugin
