"""Plug-ins of `tests/plugins/packages`, installed into a folder on the path of imports."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.agreement import kinds
from common.plugins import loading
from common.plugins.distribution import find_plugin, plugin_of
from common.plugins.plugin import Plugin
from tests.common.plugins.installed import install

PACKAGES = Path(__file__).parent / "packages"


@pytest.fixture
def site_packages(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The folder, here and in processes that are started; what it brings is forgotten afterwards."""
    folder = tmp_path_factory.mktemp("site-packages")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    for table in ("_registered", "_roots", "_hashed"):
        monkeypatch.setattr(loading, table, {})
    monkeypatch.setattr(kinds, "_KINDS", dict(kinds._KINDS))
    yield folder
    installed = {path.name.removesuffix(".py") for path in PACKAGES.iterdir()}
    for name in [name for name in sys.modules if name.partition(".")[0] in installed]:
        del sys.modules[name]


@pytest.fixture
def numberslab(site_packages: Path) -> Plugin:
    """The toy family, installed and not yet imported."""
    source = (PACKAGES / "numberslab" / "__init__.py").read_text(encoding="utf-8")
    install(site_packages, "numberslab", {"numberslab/__init__.py": source}, "numberslab:register")
    return plugin_of(find_plugin("numberslab"))


BORROWED = (
    "common/tasks/regression_kind.py",
    "common/models/plain_mlp.py",
    "server/aggregation/trimmed_mean.py",
)
"""Sources under `tests` that a laboratory's distribution is made of, beside its own."""


@pytest.fixture
def mylab(site_packages: Path) -> Plugin:
    """A fourth task kind, a perceptron, a strategy and a cohort in one distribution."""
    tests = Path(__file__).parents[1]
    sources = [*sorted((PACKAGES / "mylab").glob("*.py")), *(tests / path for path in BORROWED)]
    modules = {f"mylab/{path.name}": path.read_text(encoding="utf-8") for path in sources}
    install(site_packages, "mylab", modules, "mylab:register")
    return plugin_of(find_plugin("mylab"))
