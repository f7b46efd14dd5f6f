from common.documents.checklists.probast_ai import PROBAST_AI


def test_the_questions_are_those_of_the_publication() -> None:
    asked = [item.number for item in PROBAST_AI.items if "." in item.number]
    sizes = {"D": (3, 4, 4, 5), "E": (3, 4, 4, 7)}
    assert asked == [
        f"{part} {domain}.{number}"
        for part, questions in sizes.items()
        for domain, most in enumerate(questions, 1)
        for number in range(1, most + 1)
    ]
    assert [sum(part in number for number in asked) for part in "DE"] == [16, 18]


def test_no_question_is_answered_for_the_assessor() -> None:
    assert all(item.rest for item in PROBAST_AI.items if item.topics)


def test_every_rating_is_the_assessors() -> None:
    ratings = [item for item in PROBAST_AI.items if "." not in item.number]
    assert len(ratings) == 14
    assert not any(item.topics for item in ratings)
