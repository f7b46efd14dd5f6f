import pytest

from client.prediction.page.outcomes import block_of
from client.prediction.similar import SimilarPatients
from tests.client.prediction.page.made import CLASSES, CURVE, LABELS, NUMBER, SURE_CURVE


def test_a_time_is_drawn_at_the_horizon_that_is_explained_or_else_the_last() -> None:
    last = block_of("survival", CURVE, None)
    assert (last.kind, last.large) == ("time", "30 in 100")
    assert last.dots is not None
    assert last.dots.filled == 30
    assert block_of("survival", CURVE, "12").large == "10 in 100"
    assert [row.words for row in last.rows] == ["10 in 100", "30 in 100"]
    assert last.curve is not None


def test_a_median_beyond_the_follow_up_is_not_made_up() -> None:
    (sentence,) = block_of("survival", CURVE, None).sentences
    assert "beyond 60 months" in sentence
    (sentence,) = block_of("survival", CURVE.model_copy(update={"median": 11.0}), None).sentences
    assert "by 11 months" in sentence


def test_classes_have_dots_and_labels_have_none() -> None:
    classes, labels = block_of("response", CLASSES, None), block_of("toxicity", LABELS, None)
    assert (classes.kind, labels.kind) == ("classes", "labels")
    assert classes.dots is not None
    assert labels.dots is None
    assert [row.name for row in labels.rows] == ["skin", "gut", "blood"]


@pytest.mark.parametrize("unit", ["mmHg", ""])
def test_a_number_stands_in_its_unit(unit: str) -> None:
    block = block_of("change", NUMBER.model_copy(update={"unit": unit}), None)
    assert block.large == f"\u22123.25 {unit}".rstrip()
    assert (block.dots, block.rows) == (None, ())


def test_intervals_are_shown_where_there_are_some() -> None:
    without, block = block_of("survival", CURVE, None), block_of("survival", SURE_CURVE, None)
    assert (without.likely, without.rows[0].likely) == ("", "")
    assert block.likely == "22 to 39 in 100"
    assert block.rows[0].likely == "6 to 15"
    assert block.dots is not None
    assert (block.dots.uncertain, block.dots.possible) == (8, 9)
    assert "14.6 months" in block.sentences[1]
    assert block.curve is not None
    assert [bound.text for bound in block.curve.bounds] == ["80%", "90%"]
    decided = CLASSES.model_copy(update={"possible": {"90%": ("yes",)}})
    assert "90%" in block_of("response", decided, None).sentences[0]
    ranged = NUMBER.model_copy(update={"interval": {"90%": (-10.0, 3.0)}})
    assert "90%" in block_of("change", ranged, None).sentences[0]


def test_what_happened_to_similar_patients_stands_beside_the_forecast() -> None:
    similar = SimilarPatients(
        third="middle", horizon=60.0, patients=412, times=(12.0, 60.0), survival=(0.9, 0.66)
    )
    block = block_of("survival", CURVE.model_copy(update={"similar": similar}), None)
    assert "412" in block.sentences[-1]
    assert "34 in 100" in block.sentences[-1]
    assert block.curve is not None
    assert block.curve.similar
    short = similar.model_copy(update={"times": (12.0,), "survival": (0.9,)})
    assert len(block_of("survival", CURVE.model_copy(update={"similar": short}), None).sentences) == 1
