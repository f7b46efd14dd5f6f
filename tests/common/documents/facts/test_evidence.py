from common.documents.facts.evidence import evidence_facts
from common.documents.facts.fact import Topic
from common.release.card import CardTask
from tests.common.documents.conftest import Released


def test_a_figure_comes_with_its_noise_and_one_that_noise_covers_does_not_come(released: Released) -> None:
    tasks = (
        CardTask(name="survival", concordance=0.71, pairs=900, noise=0.02),
        CardTask(name="response", concordance=0.99, pairs=12, noise=0.9),
        CardTask(name="toxicity"),
    )
    facts = evidence_facts(released(tasks=tasks))
    survival, response, toxicity, noise = facts[Topic.DISCRIMINATION].lines
    assert {"0.71", "0.02"} <= set(survival.replace("(", " ").replace(")", " ").split())
    assert "0.99" not in response
    assert "not measured" in toxicity
    assert "confidence" in noise
    assert any("response" in line and "survival" not in line for line in facts[Topic.LIMITS].lines)
    assert facts[Topic.DISCRIMINATION].data["run"][1]["concordance"] == 0.99


def test_what_nobody_measured_is_not_known(released: Released) -> None:
    facts = evidence_facts(released(validation_loss=None))
    for topic in (Topic.DISCRIMINATION, Topic.LOSS, Topic.CALIBRATION, Topic.SUBGROUPS, Topic.NET_BENEFIT):
        assert not facts[topic].is_known
    assert "not measured at all" in facts[Topic.LIMITS].text
