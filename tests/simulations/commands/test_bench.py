from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result as Ended

Consilium = Callable[..., Ended]


def test_every_benchmark_says_what_it_prints(consilium: Consilium) -> None:
    shown = consilium("bench", "--help").output
    for command in ("figures", "privacy", "dp", "train", "message", "wire", "deployment", "rounds", "scale"):
        assert f"│ {command} " in shown


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("rounds", "--engine", "steam"), "--engine steam: is not an engine"),
        (("scale", "--engine", "ray"), "--engine ray: is not one that is measured here"),
        (("train", "--device", "abacus"), "--device: is not a device"),
        pytest.param(
            ("train", "--device", "cuda"),
            "--device: asks for cuda",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here"),
        ),
    ],
)
def test_what_cannot_be_measured_is_one_sentence_and_leaves_no_file(
    consilium: Consilium, tmp_path: Path, arguments: tuple[str, ...], what: str
) -> None:
    ended = consilium("bench", *arguments, "--out", tmp_path / "figures.json")
    assert ended.exit_code == 2
    assert what in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
