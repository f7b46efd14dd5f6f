"""Every command answers programs in JSON, or is a service that answers nobody."""

import json
import platform
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from typer.main import get_command

from consilium.command import app
from tests.simulations.conftest import run_consilium

WITHOUT = {
    "federation schema": "prints JSON, a schema, in any case",
    "site start": "a service in the foreground; `site status` tells what it does",
    "site app": "a service in the foreground under another account",
}
"""Commands without `--json`, with the reason."""

PAGE = Path(__file__).parents[2] / "docs" / "json.md"


def commands(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))
    else:
        yield " ".join(path), command


def has_json(command: click.Command) -> bool:
    return any("--json" in parameter.opts for parameter in command.params)


def test_every_command_has_json_or_a_reason() -> None:
    without = {path for path, command in commands(get_command(app)) if not has_json(command)}
    assert without == set(WITHOUT)


def test_every_command_with_json_stands_in_the_document() -> None:
    documented = set(re.findall(r"^\| `([a-z -]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == {path for path, command in commands(get_command(app)) if has_json(command)}


@pytest.mark.parametrize("arguments", [("plugins", "--json"), ("privacy", "plan", "--json")])
def test_standard_output_is_json_alone(arguments: tuple[str, ...]) -> None:
    ended = run_consilium(*arguments)
    assert ended.exit_code == 0
    json.loads(ended.stdout)


@pytest.mark.slow
def test_a_simulation_answers_with_its_result() -> None:
    options = ("--federated-only", "--rounds", "1", "--fold", "0", "--engine", "serial")
    ended = run_consilium("simulate", "synthetic", "--hospitals", "2", "--patients", "30", *options, "--json")
    assert ended.exit_code == 0, ended.stderr
    assert json.loads(ended.stdout)["cohort"]


def test_bad_input_leaves_standard_output_empty(tmp_path: Path) -> None:
    ended = run_consilium("site", "status", tmp_path / "nowhere", "--json")
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr


def test_versions_are_those_of_the_packages() -> None:
    ended = run_consilium("--version")
    assert ended.exit_code == 0
    lines = dict(line.split(" ", 1) for line in ended.stdout.splitlines())
    assert lines == {
        **{name: version(name) for name in ("consilium", "flwr", "torch")},
        "Python": platform.python_version(),
    }
