import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import typer
from click.testing import Result as Ended
from typer.testing import CliRunner

from consilium.command import app
from simulations.cohorts.registry import SOURCES, CohortRequest, CohortSource
from simulations.commands.options import with_options
from simulations.experiment.options import Options

Consilium = Callable[..., Ended]
HEAVY = ("torch", "pandas", "numpy", "flwr", "pydantic", "matplotlib", "sklearn", "ray", "opacus")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), ("simulate", "cohort")),
        (("simulate",), ("fed-tcga-brca", "--engine", "--set", "--out", "KEY=VALUE", "CONSILIUM_DATA")),
        (
            ("tune",),
            ("COHORT", "--over", "--inner-folds", "--budget", "--minutes", "--out", "KEY=VALUE,VALUE"),
        ),
        (("cohort",), ("describe",)),
        (("cohort", "describe"), ("FOLDER", "--federation", "--json")),
        (("site",), ("ledger",)),
        (("site", "ledger"), ("SITE", "--acknowledge", "NOTE", "--json")),
        (("privacy",), ("plan",)),
        (("bench",), ("train", "rounds", "scale", "wire")),
        (("privacy", "plan"), ("--patients", "--rounds", "--epsilon", "--delta", "--hospitals", "--out")),
    ],
)
def test_help_explains_every_argument_without_loading_what_it_does_not_need(
    arguments: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    program = (
        "import json, sys\n"
        f"sys.argv = ['consilium', *{arguments!r}, '--help']\n"
        "from consilium.command import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        f"    print(json.dumps([end.code, [m for m in {HEAVY!r} if m in sys.modules]]), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(ended.stderr) == [0, []]
    assert not [text for text in shown if text not in ended.stdout]


def commands(command: click.Command, path: str = "consilium") -> Iterator[tuple[str, click.Command]]:
    """Every command below this one, with its words as they are typed."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, f"{path} {name}")
    else:
        yield path, command


@pytest.mark.parametrize(("path", "command"), list(commands(typer.main.get_command(app))))
def test_every_option_has_a_sentence_that_the_terminal_shows_whole(path: str, command: click.Command) -> None:
    for option in command.params:
        text = getattr(option, "help", None) or ""
        assert text[:1].isupper(), (path, option.name, text)
        assert text.endswith("."), (path, option.name, text)
        assert "[" not in text, (path, option.name, text)  # rich takes square brackets for a style


def test_without_a_command_the_help_is_shown(consilium: Consilium) -> None:
    assert "simulate" in consilium().output


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "--rounds", "0"),
        ("simulate", "--fold", "-1"),
        ("simulate", "--seed", "-1"),
        ("simulate", "--folds", "x"),
        ("simulate", "--unknown"),
        ("tune", "lung"),
        ("tune", "lung", "--over", "model.dropout=0", "--out", "out", "--inner-folds", "1"),
        ("cohort", "describe"),
        ("site", "ledger"),
        ("privacy", "plan", "--patients", "0"),
        ("nothing",),
    ],
)
def test_a_mistyped_command_ends_with_2(consilium: Consilium, arguments: tuple[str, ...]) -> None:
    ended = consilium(*arguments)
    assert ended.exit_code == 2
    assert ended.stdout == ""


def test_options_reach_the_command() -> None:
    asked: list[tuple[Options, str]] = []
    program = typer.Typer()

    @program.command()
    @with_options
    def command(options: Options, cohort: str) -> None:
        asked.append((options, cohort))

    arguments = ("--rounds", "4", "--fold", "2", "--seed", "5", "--set", "a.b=1", "--set", "c.d=x=y")
    ended = CliRunner().invoke(program, ["my cohort", *arguments, "--epsilon", "8"])
    assert ended.exit_code == 0, ended.output
    settings = {"a.b": "1", "c.d": "x=y"}
    assert asked == [(Options(rounds=4, fold=2, seed=5, settings=settings, epsilons=(8.0,)), "my cohort")]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], str]:
    """Name of a cohort whose source ends with an error."""

    def source(error: BaseException) -> str:
        def write(request: CohortRequest, out: Path) -> None:
            raise error

        monkeypatch.setitem(SOURCES, "failing", CohortSource("failing", write, "fails"))
        return "failing"

    return source


@pytest.mark.parametrize("file", ["out/result.json", None])
def test_a_file_that_cannot_be_used_is_one_sentence(
    consilium: Consilium, failing: Callable[[BaseException], str], file: str | None
) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *([file] if file else []))
    ended = consilium("simulate", failing(error))
    assert ended.exit_code == 2
    assert file is None or ended.stderr.startswith(f"consilium: {file}: ")
    assert "disk is full" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_name_too_long_for_a_folder_is_one_sentence(consilium: Consilium) -> None:
    ended = consilium("simulate", "x" * 300)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"consilium: {'x' * 300}: {os.strerror(errno.ENAMETOOLONG)}")
    assert ended.stderr.count("\n") == 1


def test_an_interrupted_run_has_the_code_of_an_interrupt(
    consilium: Consilium, failing: Callable[[BaseException], str], tmp_path: Path
) -> None:
    ended = consilium("simulate", failing(KeyboardInterrupt()), "--out", tmp_path / "out")
    assert ended.exit_code == 130
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()
