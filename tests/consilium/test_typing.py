"""The examples of the page on Python, under the strictest types."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import consilium

ROOT = Path(consilium.__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)

MORE = """
from pathlib import Path

import consilium

def report(folder: str | Path) -> None:
    with consilium.cohort("lung", data="data") as cohort:
        result = consilium.simulate(cohort, epsilons=[8, 1], settings={"training.strategy": "fedadam"}, out=folder)
    again = consilium.resume("out", rounds=60)
    result.compare(again).table().to_csv("differences.csv")
    consilium.simulate("synthetic", out=Path("out"), engine="serial", progress=False)
    [plan.privacy.noise_multiplier for plan in consilium.plan_privacy(patients=200, epsilons=[3])]
    print(consilium.load_federation("trial").digest, consilium.Result.read("out").tasks)
"""

WRONG = """
import consilium

consilium.simulate("lung", rounds="20")
consilium.simulate("lung", epsilons=8)
consilium.simulate("lung", command="x")
"""


def objections(tmp_path: Path, *programs: str) -> list[str]:
    """The lines of mypy about programs, whose files are numbered."""
    files = []
    for number, program in enumerate(programs):
        files.append(tmp_path / f"program{number}.py")
        files[-1].write_text(program)
    mypy = [sys.executable, "-m", "mypy", "--no-error-summary"]
    shared = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    ended = subprocess.run(
        [*mypy, *shared, *map(str, files)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="mypy is configured in the source tree")
def test_the_pages_examples_are_well_typed_and_mistakes_are_not(tmp_path: Path) -> None:
    assert EXAMPLES
    lines = objections(tmp_path, *EXAMPLES, MORE, WRONG)
    wrong = f"program{len(EXAMPLES) + 1}.py:"
    assert [line for line in lines if wrong not in line] == []
    assert [line for line in lines if wrong in line and "error" in line]
