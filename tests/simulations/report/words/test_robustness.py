"""Findings and table of robustness."""

from simulations.report.words.robustness import kind_finding, robustness_findings, robustness_table
from simulations.results.robustness import CohortRobustness, Condition
from simulations.results.schema import Arm


def condition(kind: str, level: str, federated: float | None, forest: float | None = None) -> Condition:
    scores: dict[Arm, tuple[float | None, ...]] = {"federated": (federated,)}
    if forest is not None:
        scores["forest"] = (forest - 0.1, forest + 0.1)
    return Condition(kind=kind, level=level, scores={"response": scores})


COHORT = CohortRobustness(
    headlines={"response": "auroc"},
    conditions=(
        condition("none", "", 0.8, 0.7),
        condition("missing values", "10%", 0.79, 0.7),
        condition("missing values", "50%", 0.75, 0.7),
        condition("missing modality", "rna", 0.6, 0.6),
        condition("missing modality", "clinical", 0.7, 0.72),
        condition("label noise", "30%", None),
    ),
    left_out={},
)


def test_a_kind_is_told_by_its_hardest_level_and_the_change() -> None:
    finding = kind_finding(COHORT, "response", "missing values")
    assert finding is not None
    for words in ("50%", "0.750 (0.050 lower)", "Random forest 0.700 (as without)"):
        assert words in finding
    named = kind_finding(COHORT, "response", "missing modality")
    assert named is not None
    assert "rna" in named, "where the federated model is lowest, not the last"
    assert kind_finding(COHORT, "response", "label noise") is None
    assert len(robustness_findings(COHORT, "response")) == 2


def test_the_table_has_a_row_per_condition_and_means_over_seeds() -> None:
    table = robustness_table(COHORT, "response")
    assert [row[0] for row in table.rows][:3] == ["none", "missing values, 10%", "missing values, 50%"]
    assert table.rows[0][1:] == ("0.800", "0.700")
    assert table.rows[-1][1:] == ("—", "—")
