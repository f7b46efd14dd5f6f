from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from consilium.command import app

Consilium = Callable[..., Ended]


@pytest.fixture
def consilium() -> Consilium:
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ("no such cohort",),
        ("lung", "--hospitals", 11),
        ("tcga-brca", "--data", "/nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    consilium: Consilium, tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    ended = consilium("poc", *arguments, "--keep", tmp_path / "kept")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("consilium: ")
    assert ended.stderr.strip().count("\n") == 0
    assert not list(tmp_path.iterdir())


def test_an_occupied_folder_is_left_as_it_is(consilium: Consilium, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert consilium("poc", "lung", "--keep", tmp_path).exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
