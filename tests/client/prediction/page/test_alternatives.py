from client.prediction.page.alternatives import SHOWN, alternatives_of
from tests.client.prediction.page.made import changed, changed_column


def test_a_number_has_answers_at_both_ends_and_the_nearest_that_is_lower() -> None:
    made = alternatives_of(changed())
    assert "by 60 months" in made.title
    assert made.now == "30 in 100"
    pressure, smoking = made.rows
    assert (pressure.name, pressure.value) == ("pressure", "150 mmHg")
    assert pressure.words == (
        "20 in 100 at 60 mmHg and 50 in 100 at 260 mmHg;"
        " the nearest value that lowers it by a tenth gives 26 in 100 at 120 mmHg"
    )
    assert smoking.words == "28 in 100 at never; 33 in 100 at current"


def test_where_nothing_lowers_it_that_is_said_and_few_columns_are_shown() -> None:
    column = changed_column().model_copy(update={"nearest": None})
    made = alternatives_of(changed().model_copy(update={"columns": (column,) * 9}))
    assert len(made.rows) == SHOWN
    assert "no plausible value" in made.rows[0].words


def test_a_predicted_number_stays_one() -> None:
    made = alternatives_of(changed().model_copy(update={"horizon": None, "unit": "mmHg", "number": -3.0}))
    assert made.now == "\u22123 mmHg"
