"""Names that plug-ins bring for federation files, with the plug-in that brought them.

A registry notes a name here when it is registered, wherever the registry lies: whether a file names the plug-in of all
that it uses is asked before a model is built or a strategy is made.
"""

from common.agreed import NameOf
from common.plugins.loading import package_registering

_packages: dict[tuple[NameOf, str], str] = {}
"""Name -> the plug-in that brought it; names of the product are not in it."""


def note_name(part: NameOf, name: str) -> None:
    """Note that the plug-in that is being registered, if any is, brought a name."""
    package = package_registering()
    if package is not None:
        _packages[part, name] = package


def package_of_name(part: NameOf, name: str) -> str | None:
    """Return the plug-in that brought a name; None for one of the product."""
    return _packages.get((part, name))
