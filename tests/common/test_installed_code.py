"""Hash of the installed code: any file that differs, comes or goes changes it, and bytecode does not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from common.installed_code import PACKAGES, code_hash


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    for package in PACKAGES:
        (tmp_path / package / "inner").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "inner" / "page.html").write_text("<p>")
    (tmp_path / "numpy").mkdir()
    return tmp_path


def _edit(folder: Path) -> None:
    (folder / "client/__init__.py").write_text("import os")


def _add(folder: Path) -> None:
    (folder / "server/new.py").write_text("")


def _remove(folder: Path) -> None:
    (folder / "common/inner/page.html").unlink()


def _move(folder: Path) -> None:
    (folder / "common/inner/page.html").rename(folder / "common/page.html")


@pytest.mark.parametrize("change", [_edit, _add, _remove, _move])
def test_every_change_of_a_file_changes_the_hash(installed: Path, change: Callable[[Path], None]) -> None:
    before = code_hash(installed)
    change(installed)
    assert code_hash(installed) != before


def test_bytecode_and_other_packages_do_not_count(installed: Path) -> None:
    before = code_hash(installed)
    (installed / "client/__pycache__").mkdir()
    (installed / "client/__pycache__/__init__.cpython-311.pyc").write_bytes(b"x")
    (installed / "numpy/__init__.py").write_text("")
    assert code_hash(installed) == before


def test_the_running_code_is_hashed() -> None:
    assert code_hash() == code_hash(Path(__file__).parents[2])
