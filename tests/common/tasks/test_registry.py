import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from pydantic import ValidationError

from common.agreement.agreement import validated
from common.agreement.federation import Federation
from common.errors import InputError, RegistrationError
from common.tasks.registry import metrics, register, registered
from common.tasks.regression import RegressionTask
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Metric, OutcomeForm, Task, UnpreparedTask
from common.tasks.toxicity import ToxicityTask
from tests.common.tasks.count_kind import CountTask


def test_every_kind_is_the_schema_of_its_name() -> None:
    kinds = registered()
    assert kinds["survival"] is SurvivalTask
    assert kinds["response"] is ResponseTask
    assert kinds["toxicity"] is ToxicityTask
    assert kinds["count"] is CountTask
    assert kinds["regression"] is RegressionTask


def test_a_kind_that_misses_a_part_is_refused_at_registration() -> None:
    class Half(UnpreparedTask):
        kind: Literal["half"] = "half"

    with pytest.raises(RegistrationError) as caught:
        register(Half)  # type: ignore[type-abstract]
    missed = str(caught.value)
    parts = [*Half.__abstractmethods__, "form", "metrics"]
    assert {"loss", "predict", "pairs", "fewest_pairs", "check_labels", "scores"} < set(parts)
    assert all(part in missed for part in parts)
    assert "half" not in registered()


def test_a_kind_without_a_name_or_a_metric_is_refused() -> None:
    class Nameless(ResponseTask):
        kind: str  # type: ignore[assignment]
        form: ClassVar = OutcomeForm.CLASSES
        metrics: ClassVar[dict[str, Metric]] = {}

    with pytest.raises(RegistrationError) as refused:
        register(Nameless)
    assert all(part in str(refused.value) for part in ("metrics", "kind"))


def test_a_headline_of_which_less_is_better_is_refused() -> None:
    class Upside(ResponseTask):
        kind: Literal["upside"] = "upside"  # type: ignore[assignment]
        metrics: ClassVar[dict[str, Metric]] = {
            "brier": Metric("Brier score", lower_is_better=True),
            "auroc": Metric("AUROC"),
        }

    with pytest.raises(RegistrationError) as refused:
        register(Upside)
    assert "brier" in refused.value.what
    assert "upside" not in registered()


def test_a_class_that_is_no_task_is_refused() -> None:
    stranger: Any = object
    with pytest.raises(RegistrationError):
        register(stranger)


def test_a_name_belongs_to_one_kind() -> None:
    class Another(ResponseTask):
        pass

    with pytest.raises(RegistrationError) as refused:
        register(Another)
    assert "ResponseTask" in str(refused.value)
    assert register(ResponseTask) is ResponseTask
    assert registered()["response"] is ResponseTask


def test_more_of_a_headline_is_better_and_the_other_metrics_have_titles() -> None:
    for kind in registered().values():
        assert not next(iter(kind.metrics.values())).lower_is_better
    assert metrics()["integrated_brier"].lower_is_better
    assert metrics()["deviance"].title == "Mean Poisson deviance"


def test_a_federation_takes_a_task_of_any_registered_kind(federation: Federation) -> None:
    nodules: Task = CountTask(name="nodules", target="n", most=30, usual=3)
    wider = Federation.model_validate(federation.model_dump() | {"tasks": [*federation.tasks, nodules]})
    again = Federation.model_validate_json(wider.model_dump_json())
    assert again == wider
    assert again.digest == wider.digest != federation.digest
    assert again.tasks[-1] == nodules


@pytest.mark.parametrize("kind", ["death", None, ["survival"]])
def test_an_unknown_kind_is_refused_with_the_kinds_there_are(federation: Federation, kind: Any) -> None:
    data = federation.model_dump(mode="json")
    data["tasks"][0]["kind"] = kind
    with pytest.raises(InputError) as caught:
        validated(Federation, data, "federation.toml")
    assert caught.value.where == "federation.toml, tasks.0"
    assert all(name in str(caught.value) for name in ("survival", "response", "toxicity"))


def test_a_fault_in_a_task_is_named_where_it_is(federation: Federation) -> None:
    data = federation.model_dump(mode="json")
    data["tasks"][0]["bins"] = 1
    with pytest.raises(ValidationError) as caught:
        Federation.model_validate(data)
    assert caught.value.errors()[0]["loc"] == ("tasks", 0, "bins")


def test_reading_a_federation_file_needs_no_torch_or_numpy() -> None:
    program = "import sys, common.agreement.federation; print(sorted({'torch', 'numpy', 'pandas'} & {*sys.modules}))"
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[3]
    assert subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout == "[]\n"
