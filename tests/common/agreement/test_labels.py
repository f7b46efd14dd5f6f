"""Display names: what they may name, what they leave alone, and what they fall back to."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from common.agreement.display_names import DisplayNames
from common.agreement.federation import Federation, load, save
from common.agreement.labels import column_label, level_label, modality_label, outcome_label, task_label
from tests.conftest import _federation

NAMES = DisplayNames(
    modalities={"rna": "Gene expression"},
    tasks={"survival": "Overall survival"},
    columns={"clinical": {"age": "Age at diagnosis"}, "outcomes": {"time": "Months to death"}},
    levels={"clinical": {"sex": {"f": "female"}}},
    outcomes={"response": {"yes": "Complete response"}},
)


def test_what_has_no_label_keeps_its_name() -> None:
    federation = _federation(display_names=NAMES)

    assert column_label(federation, "clinical", "age") == "Age at diagnosis"
    assert column_label(federation, "clinical", "sex") == "sex"
    assert column_label(federation, "outcomes", "time") == "Months to death"
    assert level_label(federation, "clinical", "sex", "f") == "female"
    assert level_label(federation, "clinical", "sex", "m") == "m"
    assert task_label(federation, "survival") == "Overall survival"
    assert task_label(federation, "toxicity") == "toxicity"
    assert modality_label(federation, "rna") == "Gene expression"
    assert outcome_label(federation, "response", "yes") == "Complete response"
    assert outcome_label(federation, "response", "no") == "no"


def test_a_file_without_labels_keeps_its_digest() -> None:
    plain, named = _federation(), _federation(display_names=NAMES)

    assert "display_names" not in plain.data()
    assert plain.digest == _federation(display_names=DisplayNames()).digest != named.digest


def test_labels_outlast_the_file(tmp_path: Path) -> None:
    federation = _federation(display_names=NAMES)
    save(federation, tmp_path / "federation.toml")

    assert load(tmp_path / "federation.toml") == federation


@pytest.mark.parametrize(
    "names",
    [
        DisplayNames(columns={"clinical": {"weight": "Weight"}}),
        DisplayNames(columns={"mri": {"age": "Age"}}),
        DisplayNames(levels={"clinical": {"sex": {"x": "other"}}}),
        DisplayNames(levels={"clinical": {"age": {"x": "other"}}}),
        DisplayNames(tasks={"relapse": "Relapse"}),
        DisplayNames(outcomes={"survival": {"dead": "Dead"}}),
        DisplayNames(modalities={"rna": "protein"}),
        DisplayNames(levels={"clinical": {"sex": {"f": "Person", "m": "person"}}}),
    ],
)
def test_labels_of_nothing_or_of_two_things_are_refused(names: DisplayNames) -> None:
    with pytest.raises(ValidationError, match="display_names"):
        _federation(display_names=names)


def test_a_kind_of_record_without_labels_gives_names() -> None:
    federation = _federation().model_copy(update={"display_names": None})
    assert isinstance(federation, Federation)

    assert column_label(federation, "clinical", "age") == "age"
