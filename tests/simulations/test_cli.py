import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import click
import pytest
import typer
from click.testing import Result as Ended

from consilium.command import app
from simulations.experiment.options import Options

Consilium = Callable[..., Ended]
HEAVY = ("torch", "pandas", "numpy", "flwr", "pydantic", "matplotlib", "sklearn", "ray", "opacus")


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), ("simulate", "cohort")),
        (("simulate",), ("fed-tcga-brca", "--engine", "--set", "--out", "KEY=VALUE", "CONSILIUM_DATA")),
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


def test_options_reach_the_simulation(consilium: Consilium, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []

    def remember(*given: object) -> int:
        asked.append(given)
        return 3

    monkeypatch.setattr("simulations.commands.simulate.simulate", remember)
    monkeypatch.setattr("sys.argv", ["consilium", "simulate", "my cohort"])
    arguments = ("my cohort", "--rounds", 4, "--fold", 2, "--seed", 5, "--set", "a.b=1", "--set", "c.d=x=y")
    assert consilium("simulate", *arguments, "--epsilon", 8, "--hospitals", 3).exit_code == 3
    options = Options(
        rounds=4,
        fold=2,
        seed=5,
        settings={"a.b": "1", "c.d": "x=y"},
        epsilons=(8.0,),
        command="consilium simulate 'my cohort'",
    )
    assert asked == [("my cohort", None, 3, None, options)]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(28, "No space left on device", "out/result.json"),
            "out/result.json: No space left on device",
        ),
        (OSError(28, "No space left on device"), "a file: No space left on device"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    consilium: Consilium, monkeypatch: pytest.MonkeyPatch, error: OSError, told: str
) -> None:
    def fails(*given: object) -> int:
        raise error

    monkeypatch.setattr("simulations.commands.simulate.simulate", fails)
    ended = consilium("simulate")
    assert ended.exit_code == 2
    assert ended.stderr == f"consilium: {told}; check its name, its permissions and the space left.\n"


def test_a_name_too_long_for_a_folder_is_one_sentence(consilium: Consilium) -> None:
    ended = consilium("simulate", "x" * 300)
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"consilium: {'x' * 300}: File name too long; check its name")


def test_an_interrupted_run_says_that_nothing_was_written(
    consilium: Consilium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("simulations.commands.simulate.simulate", interrupted)
    ended = consilium("simulate")
    assert ended.exit_code == 130
    assert ended.stderr == "consilium: interrupted; nothing was written.\n"
