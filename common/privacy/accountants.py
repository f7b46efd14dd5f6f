"""Opacus' accountants, without the rest of Opacus.

They compute with numpy and SciPy, but an import from their package brings torch and all of Opacus: two seconds of a
processor in every process that computes an epsilon, such as that of a message. Here the folder of the accountants is a
package of another name, in which a base class of two lines stands in for the module that needs the rest.
"""

import importlib
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = "_opacus_accountants"


class _Accountant:
    """Base of Opacus' accountants, without hooks for optimisers."""

    def __init__(self) -> None:
        self.history: list[tuple[float, float, int]] = []


def accountant(name: str) -> Any:
    """Make an accountant of Opacus.

    Args:
        name: `RDPAccountant` or `PRVAccountant`.
    """
    module = name.removesuffix("Accountant").lower()
    return getattr(importlib.import_module(f"{_package()}.{module}"), name)()


@cache
def _package() -> str:
    spec = find_spec("opacus")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package, base = ModuleType(_NAME), ModuleType(f"{_NAME}.accountant")
    package.__path__ = [str(Path(folder) / "accountants") for folder in spec.submodule_search_locations]
    vars(base)["IAccountant"] = _Accountant
    sys.modules |= {module.__name__: module for module in (package, base)}
    return _NAME
