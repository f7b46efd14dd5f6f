import subprocess
import sys

import pytest

from common.calibration.shapes import outcomes_of, sums_of
from common.tasks.task import Task
from tests.common.calibration.made_up import GRADE, RESPONSE, SCORE, SURVIVAL, TOXICITY


@pytest.mark.parametrize(
    ("task", "outcomes"),
    [
        (SURVIVAL, ("event",)),
        (RESPONSE, ("yes",)),
        (GRADE, ("low", "middle", "high")),
        (TOXICITY, ("nausea", "rash")),
        (SCORE, ("number",)),
    ],
)
def test_outcomes_and_sums_of_every_form(task: Task, outcomes: tuple[str, ...]) -> None:
    assert outcomes_of(task) == outcomes
    assert all(
        limit.shape[0] in (len(outcomes), 5) and limit.low <= 0 < limit.high
        for limit in sums_of(task).values()
    )


def test_the_gate_reads_the_shapes_of_both_parts_without_torch_or_scipy() -> None:
    code = (
        "import sys; from common.calibration.part import PART; from common.intervals.part import PART;"
        "sys.exit('torch' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
