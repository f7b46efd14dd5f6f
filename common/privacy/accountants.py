"""Opacus' accountants, without the rest of Opacus.

They compute with numpy and SciPy, but an import from their package brings torch and all of Opacus: two seconds of a
processor in every process that computes an epsilon, such as that of a message. Here the folder of the accountants is a
package of another name, in which a base class of two lines stands in for the module that needs the rest.
"""

import importlib
import sys
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = "_opacus_accountants"


_MOMENTS = 2**16
"""Number of moments of single steps that are kept.

They make up nearly all of the time, and both accountants ask for the same ones again, whatever the number of steps.
"""


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
    moments: Any = importlib.import_module(f"{_NAME}.analysis.rdp")
    moments._compute_rdp = lru_cache(maxsize=_MOMENTS)(moments._compute_rdp)
    return _NAME
