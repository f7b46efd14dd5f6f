"""The examples of docs/extending.md, installed as a plug-in and simulated."""

import json
import re
from pathlib import Path

import pytest

from tests.common.plugins.installed import install
from tests.plugins.fresh_process import consilium

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
LONGEST = 60


def examples() -> dict[str, str]:
    """Path in the package -> source, of every Python block of the page."""
    blocks = re.findall(
        r"```python\n# (mylab/\w+\.py)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
    return dict(blocks)


def test_every_example_is_short() -> None:
    lengths = {path: len(source.splitlines()) for path, source in examples().items()}
    assert set(lengths) == {
        f"mylab/{name}.py" for name in ("__init__", "model", "task", "modality", "strategy", "cohort")
    }
    assert not {path: length for path, length in lengths.items() if length >= LONGEST}


def test_the_examples_are_simulated_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    install(packages, "mylab", examples(), "mylab:register")
    monkeypatch.setenv("PYTHONPATH", str(packages), prepend=":")
    out = tmp_path / "out"
    ended = consilium("simulate", "mylab-necrosis", "--fold", "0", "--rounds", "2", "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["tasks"]["necrosis"]["federated"]["r2"]["mean"] is not None
    assert result["outcomes"]["necrosis"]["kind"] == "fraction"
