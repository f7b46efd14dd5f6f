from common.documents.checklists.mi_claim import MI_CLAIM


def test_all_parts_have_items() -> None:
    assert {item.number.split(".")[0] for item in MI_CLAIM.items} == {"1", "2", "3", "4", "5", "6"}
