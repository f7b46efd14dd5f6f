"""The part asks nothing of numbers alone, computes from a view, and needs no torch for names and shapes."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import torch

from common.agreement.federation import Federation
from common.assessment.part import Asked, SiteSums, Whose, parts_of
from common.assessment.view import View
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network
from common.records import Records
from common.tasks.regression import RegressionTask
from common.validation.sums.part import PART, TEST_PART
from common.validation.sums.table import ValidationTable
from tests.common.validation.sums.test_computing import FEDERATION


def test_names_and_shapes_are_had_without_torch() -> None:
    code = "import sys, common.validation.sums.part; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numbers_alone_are_not_asked_about() -> None:
    number = RegressionTask(name="number", target="value", low=0, high=1)
    assert PART.questions(FEDERATION.model_copy(update={"tasks": (number,)})) == 0
    assert PART.questions(FEDERATION) == 2
    assert PART.questions(FEDERATION.model_copy(update={"tasks": FEDERATION.tasks[1:]})) == 1
    assert PART.asked(FEDERATION, 0) == {}
    assert PART.asked(FEDERATION, 1) == {"survival.edges": Asked((2,), 0.0, 0.9)}


def test_those_who_test_are_asked_about_where_the_file_sets_some_aside() -> None:
    assert TEST_PART.questions(FEDERATION) == 0
    tested = FEDERATION.changed({"training.test_fraction": "0.2"})
    assert (TEST_PART.questions(tested), TEST_PART.whose) == (2, Whose.TEST)
    assert [part.name for part in parts_of(tested)].count("test") == 1
    assert FEDERATION.changed({"training.test_fraction": "0.0"}).digest == FEDERATION.digest


class NoModel:
    """Stands where a view has its model; the answers come from elsewhere."""


def test_a_hospital_answers_both_questions_about_all_of_its_tasks(
    federation: Federation, preprocessing: Preprocessing, make_batch: Callable[..., PatientBatch]
) -> None:
    draw = torch.Generator().manual_seed(0)
    outputs = {task.name: torch.randn(400, task.outputs, generator=draw) for task in federation.tasks}
    network = Network(federation, preprocessing, {}, NoModel())  # type: ignore[arg-type]

    def answers(model: object, records: Records) -> dict[str, torch.Tensor]:
        return outputs

    view: View[Federation, PatientBatch, Preprocessing] = View(network, make_batch(400), 5, answers)
    first = PART.computed(view, {}, 0)
    assert set(first) == set(PART.sums(federation, 0)) == {"survival.histogram"}
    edges = PART.next(federation, {"one": SiteSums(400, first)}, 0)
    last = PART.computed(view, edges, 1)
    assert {name: array.shape for name, array in last.items()} == {
        name: limit.shape for name, limit in PART.sums(federation, 1).items()
    }
    content = PART.content(federation, {"one": SiteSums(400, last)})
    assert content is not None
    table = ValidationTable.of_content(content, "here")
    assert set(table.tasks) == {"survival", "response", "toxicity"}
    assert [outcome.name for outcome in table.tasks["response"]] == ["no", "partial", "yes"]
    sexes = [group.name for group in table.tasks["toxicity"][0].groups if group.division == "sex"]
    assert sexes == ["f", "m"]
    assert all(np.isfinite(array).all() for array in last.values())
