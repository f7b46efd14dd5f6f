from common.documents.checklists.tripod_ai import TRIPOD_AI


def test_the_items_are_those_of_the_publication() -> None:
    parts = {3: "abc", 5: "ab", 6: "abc", 8: "abc", 9: "abc", 12: "abcdefg", 18: "abcdef"}
    parts |= {20: "abc", 23: "ab", 27: "abc"}
    expected = [f"{number}{part}" for number in range(1, 28) for part in parts.get(number, [""])]
    assert [item.number for item in TRIPOD_AI.items] == expected
    assert len(expected) == 52
