from common.agreement.modalities import Modality, Plausible
from common.documents.facts.fact import Topic
from common.documents.facts.inputs import SHOWN, input_facts
from tests.common.documents.conftest import Released


def test_columns_are_named_with_unit_range_and_levels(released: Released) -> None:
    clinical = Modality(
        name="clinical",
        node="clinical",
        columns=("age", "height"),
        categories={"sex": ("f", "m")},
        ranges={"age": Plausible(unit="years", low=18, high=110)},
    )
    facts = input_facts(released({"modalities": [clinical.model_dump()]}))
    (line,) = facts[Topic.PREDICTORS].lines
    assert all(part in line for part in ("age (years, 18 to 110)", "height", "sex (one of f, m)"))
    (data,) = facts[Topic.PREDICTORS].data
    assert data["columns"]["age"] == {"unit": "years", "low": 18.0, "high": 110.0}


def test_many_columns_are_counted_in_the_text_and_named_in_the_data(released: Released) -> None:
    names = tuple(f"X{index}" for index in range(SHOWN + 1))
    wide = Modality(name="rna", node="gene", columns=names)
    fact = input_facts(released({"modalities": [wide.model_dump()]}))[Topic.PREDICTORS]
    assert "X7" not in fact.text
    assert f"{SHOWN + 1} numbers" in fact.text
    assert tuple(fact.data[0]["columns"]) == names


def test_steps_of_preparation_are_those_of_the_file(released: Released) -> None:
    wide = Modality(
        name="rna", node="gene", columns=("A",), transform="signed_log", clip=(-5, 5), scale="none"
    )
    line = input_facts(released({"modalities": [wide.model_dump()]}))[Topic.PREPARATION].lines[0]
    assert "logarithm" in line
    assert "-5 to 5" in line
    assert "deviation" not in line


def test_outcomes_and_outputs_are_told_for_every_task(released: Released) -> None:
    release = released()
    facts = input_facts(release)
    for topic in (Topic.OUTCOMES, Topic.OUTPUTS):
        starts = [line.partition(":")[0] for line in facts[topic].lines]
        assert starts == list(release.agreement.task_names)
    end = float(release.preprocessing["cuts:survival"][-1])
    assert f"{end:.4g} months" in facts[Topic.OUTPUTS].lines[0]
