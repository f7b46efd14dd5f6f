"""Lock of a hospital's install: all that is asked for, at versions that fit, each file by its hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy/lock"
LISTS = sorted(LOCK.glob("*.txt"))
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def _blocks(path: Path) -> list[str]:
    text = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
    return [block for block in re.split(r"\n(?=[a-z0-9])", text.strip()) if block]


def _locked(path: Path) -> list[Requirement]:
    return [Requirement(block.partition("\\")[0].strip()) for block in _blocks(path)]


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_every_package_has_a_version_and_hashes(path: Path) -> None:
    for block, requirement in zip(_blocks(path), _locked(path), strict=True):
        assert [specifier.operator for specifier in requirement.specifier] == ["=="], block[:60]
        first, *rest = block.splitlines()
        assert rest
        assert all(HASH.search(line) for line in rest), first


@pytest.mark.parametrize("torch", ["torch-cpu.txt", "torch-cuda.txt"])
def test_the_lock_fits_what_the_package_asks_for(torch: str) -> None:
    locked = _locked(LOCK / "site.txt") + _locked(LOCK / torch)
    for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]:
        needed = Requirement(text)
        versions = [
            next(iter(requirement.specifier)).version
            for requirement in locked
            if canonicalize_name(requirement.name) == canonicalize_name(needed.name)
        ]
        assert versions, text
        assert all(needed.specifier.contains(version) for version in versions), text


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.name)
def test_no_list_names_an_index(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert not [line for line in lines if line.startswith("-") or (" @ " in line)]


def test_images_install_by_hash_alone() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text().replace("\\\n", " ")
    installs = [line for line in re.split(r"\n|&&", text) if re.search(r"pip\b.* install ", line)]
    assert installs
    for line in installs:
        assert "--require-hashes" in line or "--no-deps /wheels/" in line, line
