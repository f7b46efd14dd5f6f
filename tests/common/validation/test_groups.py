"""Small groups show nothing, nor does what would give them away."""

from common.validation.groups import large_enough


def test_a_group_with_few_of_either_outcome_is_not_shown() -> None:
    assert large_enough({"a": (9, 40), "b": (8, 60), "c": (4, 50), "d": (50, 3)}, 5) == {"a", "b"}


def test_hidden_groups_do_not_follow_from_the_others() -> None:
    assert large_enough({"a": (9, 40), "b": (8, 60), "c": (2, 3)}, 5) == {"a"}
    assert large_enough({"women": (30, 90), "men": (1, 2)}, 5) == set()
    assert large_enough({"women": (30, 90), "men": (20, 50), "": (0, 2)}, 5) == {"women"}


def test_groups_that_are_large_are_all_shown() -> None:
    assert large_enough({"women": (30, 90), "men": (20, 50)}, 5) == {"women", "men"}
    assert large_enough({"women": (30, 90), "men": (20, 50), "": (0, 0)}, 5) == {"women", "men"}
    assert large_enough({}, 5) == set()
