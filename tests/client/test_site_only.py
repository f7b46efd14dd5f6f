"""A hospital's installation: the packages of the site's part, and nothing that simulations and reports need."""

import json
import os
import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from common.extras import EXTRAS

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("site_round.py")
NOT_INSTALLED = sorted(
    {
        module
        for extra, modules in EXTRAS.items()
        if extra != "coordinator"  # Flower brings its packages to every installation
        for module in modules
    }
)


def answered(python: str | Path, folder: Path, *missing: str, **environment: str) -> dict[str, Any]:
    """Last line of a program, run by an interpreter without the checkout on its path."""
    ended = subprocess.run(
        [str(python), "-P", str(PROGRAM), str(folder), *missing],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def test_a_site_trains_without_the_packages_of_simulations(hospital: "Hospital") -> None:
    told = answered(sys.executable, hospital.folder, *NOT_INSTALLED, "simulations")
    assert told["changed"] > 0
    assert told["simulations"] == []


def test_every_module_of_an_extra_is_of_one_of_its_requirements() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert EXTRAS.keys() == project["optional-dependencies"].keys()
    for module in NOT_INSTALLED:
        named = {"sklearn": "scikit-learn", "sksurv": "scikit-survival", "ray": "flwr[simulation]"}
        requirement = named.get(module, module.replace("_", "-"))
        assert not any(need.startswith(requirement) for need in project["dependencies"])


@pytest.mark.slow
def test_the_sites_part_alone_trains_a_round_in_a_fresh_environment(
    hospital: "Hospital", tmp_path_factory: pytest.TempPathFactory
) -> None:
    fresh = tmp_path_factory.mktemp("fresh")
    venv.create(fresh, with_pip=True)
    python, command = fresh / "bin" / "python", fresh / "bin" / "consilium"
    pip = [str(python), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", str(ROOT)]
    subprocess.run(pip, check=True, timeout=1800)
    listed = [str(python), "-m", "pip", "list", "--format", "json"]
    names = {
        entry["name"].lower() for entry in json.loads(subprocess.run(listed, capture_output=True).stdout)
    }
    assert not names & {"matplotlib", "lifelines", "scikit-learn", "torchsurv", "torchmetrics"}
    assert not names & {"torch-geometric", "scikit-survival", "ray"}
    told = answered(python, hospital.folder, PYTHONPATH="")
    assert told["changed"] > 0
    assert told["simulations"] == []
    for words, extra in ((("simulate",), "simulate"), (("bench", "train"), "dev")):
        ended = subprocess.run([str(command), *words], capture_output=True, text=True, check=False)
        assert ended.returncode != 0
        assert f"pip install 'consilium[{extra}]'" in ended.stderr
        assert (
            subprocess.run([str(command), *words, "--help"], capture_output=True, check=False).returncode == 0
        )
