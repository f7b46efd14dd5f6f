from common.evaluation.pairs import Pairs
from common.messages.validation import (
    SUMS,
    TRAINING_LOSS,
    ValidationSums,
    comparable,
    concordant,
    pair_names,
)


def test_names_on_the_wire_are_those_of_earlier_versions() -> None:
    assert TRAINING_LOSS == "training_loss"
    assert SUMS == ("validation_loss", "validation_squares", "validation_patients")
    assert (concordant("os"), comparable("os")) == ("concordant:os", "comparable:os")
    assert pair_names(["os", "ae"]) == (
        "concordant:os",
        "comparable:os",
        "concordant:ae",
        "comparable:ae",
    )


def test_sums_come_back_from_their_names() -> None:
    sums = ValidationSums(2.5, 3.5, 9.0, {"os": Pairs(4.5, 7), "ae": Pairs.none()})
    named = sums.named()
    assert tuple(named) == (*SUMS, *pair_names(["os", "ae"]))
    assert all(type(number) is float for number in named.values())
    assert ValidationSums.of(named, ["os", "ae"]) == sums
