"""Plug-ins of `tests/plugins/packages`, installed into a folder on the path of imports."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from common.agreement import kinds
from common.agreement.agreement import FILE_NAME
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
    sources = sorted((PACKAGES / "numberslab").glob("*.py"))
    modules = {f"numberslab/{path.name}": path.read_text(encoding="utf-8") for path in sources}
    install(site_packages, "numberslab", modules, "numberslab:register")
    return plugin_of(find_plugin("numberslab"))


Write = Callable[..., Path]


@pytest.fixture
def write(numberslab: Plugin, tmp_path: Path) -> Write:
    """Writes three sites with y = 2 x + 1 + noise and their federation file; returns the folder."""

    def written(**changes: Any) -> Path:
        rng = np.random.default_rng(0)
        names = ("north", "south", "west")
        for name in names:
            folder = tmp_path / "cohort" / name
            folder.mkdir(parents=True)
            x = rng.normal(size=40)
            table = np.stack([x, 2 * x + 1 + rng.normal(scale=0.1, size=40)], axis=1)
            np.savetxt(folder / "numbers.csv", table, delimiter=",", header="x,y", comments="")
            (folder / "site.toml").write_text(f'name = "{name}"\n[tables]\nnumbers = "numbers.csv"\n')
        data = {
            "name": "lines",
            "kind": "numbers",
            "training": {"rounds": 4, "learning_rate": 0.05, "local_epochs": 3},
            "participants": [{"name": name, "patients": 40} for name in names],
            "plugins": [numberslab.model_dump()],
        }
        (tmp_path / "cohort" / FILE_NAME).write_text(tomli_w.dumps(data | changes))
        return tmp_path / "cohort"

    return written


BORROWED = (
    "common/tasks/count_kind.py",
    "common/models/plain_mlp.py",
    "server/aggregation/trimmed_mean.py",
)
"""Sources under `tests` that a laboratory's distribution is made of, beside its own."""


@pytest.fixture
def mylab(site_packages: Path) -> Plugin:
    """A fifth task kind, a perceptron, a strategy and a cohort in one distribution."""
    tests = Path(__file__).parents[1]
    sources = [*sorted((PACKAGES / "mylab").glob("*.py")), *(tests / path for path in BORROWED)]
    modules = {f"mylab/{path.name}": path.read_text(encoding="utf-8") for path in sources}
    install(site_packages, "mylab", modules, "mylab:register")
    return plugin_of(find_plugin("mylab"))
