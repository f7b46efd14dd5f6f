from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result as Ended

Consilium = Callable[..., Ended]


def test_every_benchmark_says_what_it_prints(consilium: Consilium) -> None:
    shown = consilium("bench", "--help").output
    for command in (
        "figures",
        "seeds",
        "table",
        "robustness",
        "privacy",
        "dp",
        "train",
        "message",
        "wire",
        "deployment",
        "rounds",
        "scale",
        "explain",
        "intervals",
        "warnings",
    ):
        assert f"│ {command} " in shown


@pytest.mark.parametrize(
    ("arguments", "where"),
    [
        (("rounds", "--engine", "steam"), "--engine steam"),
        (("scale", "--engine", "ray"), "--engine ray"),
        (("train", "--device", "abacus"), "--device"),
        pytest.param(
            ("train", "--device", "cuda"),
            "--device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here"),
        ),
    ],
)
def test_what_cannot_be_measured_is_one_sentence_and_leaves_no_file(
    consilium: Consilium, tmp_path: Path, arguments: tuple[str, ...], where: str
) -> None:
    ended = consilium("bench", *arguments, "--out", tmp_path / "figures.json")
    assert ended.exit_code == 2
    assert ended.stderr.startswith(f"consilium: {where}: ")
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
