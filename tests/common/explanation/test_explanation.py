"""Printed explanations have every reason, and warn where one has to be careful."""

from common.explanation.explanation import ColumnContribution, Explanation, PathwayContribution


def made(**changes: object) -> Explanation:
    age = ColumnContribution(
        modality="clinical",
        column="age",
        contribution=0.4,
        linear=0.3,
        value="90 years",
        deviations=8.0,
        clamped=True,
    )
    alpha = PathwayContribution(modality="rna", pathway="alpha", measured=5, contribution=-0.1, occluded=-0.2)
    parts: dict[str, object] = {
        "task": "survival",
        "outcome": "",
        "horizon": 12.0,
        "unit": "months",
        "scale": "log cumulative hazard",
        "patient": -1.0,
        "mean": -1.3,
        "steps": 32,
        "gap": 0.0,
        "converged": True,
        "linear": 0.2,
        "modalities": {"clinical": 0.4, "rna": -0.1},
        "absent": {"rna": 0.05},
        "edges": 0.25,
        "higher": (age,),
        "lower": (),
        "rest": -0.1,
        "pathways_higher": (),
        "pathways_lower": (alpha,),
    }
    return Explanation.model_validate(parts | changes)


def test_all_parts_are_printed() -> None:
    text = "\n".join(made().lines())
    for part in (
        "12 months",
        "age = 90 years",
        "alpha",
        "-0.200",
        "25%",
        "rna +0.050",
        "doubles the cumulative hazard",
    ):
        assert part in text
    assert "did not converge" not in text


def test_a_gap_is_printed_where_the_integral_did_not_converge() -> None:
    text = "\n".join(made(converged=False, gap=0.07).lines())
    assert "did not converge" in text
    assert "+0.070" in text


def test_no_figure_is_printed_that_there_is_not() -> None:
    shorter = made(edges=None, linear=None, absent={})
    assert len(shorter.lines()) == len(made().lines()) - 3
