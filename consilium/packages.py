"""Import of the four packages under this one, whatever a user's own folders are called.

A folder called `common` or `client` in the working directory or on PYTHONPATH would otherwise be imported instead.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("client", "common", "server", "simulations")
ROOT = Path(__file__).resolve().parents[1]
"""Folder in which this package and the four others were installed together."""


class InstalledPackages:
    """Finder of the four packages in the folder of this one; a part of `sys.meta_path`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the four packages; None for every other module."""
        return PathFinder.find_spec(fullname, [str(ROOT)]) if fullname in PACKAGES else None


def pin() -> None:
    """Have the four names mean the installed packages in this process.

    Raises:
        ImportError: if one of the names was imported before as something else.
    """
    for name in PACKAGES:
        module = sys.modules.get(name)
        if module is not None and not _is_installed(module):
            raise ImportError(
                f"consilium needs the module name {name}, under which {_origin(module)} was imported before: "
                f"import consilium first, or rename that module"
            )
    if not any(isinstance(finder, InstalledPackages) for finder in sys.meta_path):
        sys.meta_path.insert(0, InstalledPackages())


def _is_installed(module: ModuleType) -> bool:
    folders = [Path(folder).resolve() for folder in getattr(module, "__path__", ())]
    return folders == [ROOT / module.__name__]


def _origin(module: ModuleType) -> str:
    folders = getattr(module, "__path__", ())
    return str(getattr(module, "__file__", None) or next(iter(folders), "another module"))
