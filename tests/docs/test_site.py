"""The documentation site: it builds without a warning, fetches nothing, and knows every command."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import click
import pytest
import typer

from consilium.command import app
from docs.site import commands_of, pages
from server.home.places import create_home

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class Loaded(HTMLParser):
    """Addresses that a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in LOADING and values.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.addresses.append(values.get(LOADING[tag]) or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="the site is built by Sphinx, of the extra docs")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "docs", str(out)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return out


def test_it_builds_without_a_warning_and_fetches_nothing_from_elsewhere(site: Path) -> None:
    shown = sorted(site.rglob("*.html"))
    assert {"index.html", "glossary.html", "faq.html"} <= {path.name for path in shown}
    for path in shown:
        page = Loaded()
        page.feed(path.read_text(encoding="utf-8"))
        assert not [address for address in page.addresses if "//" in address], path
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), (
            style
        )


def test_every_command_and_option_is_in_the_reference() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, click.Group)
    text = "\n".join(pages().values())
    for path, command in commands_of(root, "consilium"):
        assert path in text
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not parameter.hidden:
                assert all(f"`{option}`" in text for option in parameter.opts), (path, parameter.opts)
    assert len([*commands_of(root, "consilium")]) > 60


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)


def test_every_piece_of_a_file_in_a_tutorial_is_valid() -> None:
    pieces = [piece for path in TUTORIALS for piece in blocks(path, "toml")]
    assert len(pieces) >= 4
    for piece in pieces:
        assert tomllib.loads(piece)


@pytest.mark.slow
@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_the_commands_of_a_tutorial_work(path: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    create_home(tmp_path / "home", "localhost", 9443, None)  # whose certificate a hospital gets
    shutil.copy(tmp_path / "home" / "ca.crt", tmp_path)
    if "poc" in path.read_text(encoding="utf-8") and shutil.which("nginx") is None:
        pytest.skip("this tutorial needs nginx")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for command in blocks(path, "sh"):
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    for script in blocks(path, "python"):
        ran = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
