from common.documents.facts.fact import Fact, Topic, joined, texts


def test_several_sources_give_one_fact_under_the_first_title() -> None:
    first, second = Fact("Calibration", ("By sums.",), [1]), Fact("Levels", ("By levels.",), {"a": 2})
    fact = joined({"validation": first, "calibration": second})
    assert fact == Fact(
        "Calibration", ("By sums.", "By levels."), {"validation": [1], "calibration": {"a": 2}}
    )
    nothing = joined({"validation": Fact("Calibration"), "calibration": Fact("Levels")})
    assert nothing == Fact("Calibration")


def test_what_is_not_known_is_said_under_its_title() -> None:
    facts = {
        Topic.MODEL: Fact("Model", ("A network.",)),
        Topic.SOFTWARE: Fact("Software", lack="not recorded"),
    }
    assert texts(facts, facts) == "A network. Software: not recorded."
