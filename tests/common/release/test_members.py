from common.release.members import FEDERATION, REQUIRED, holds_arrays, is_expected, ordered


def test_members_have_one_order() -> None:
    public = ["agreement/prior/edges.csv", "agreement/prior/hierarchy.csv"]
    assert ordered([*reversed(REQUIRED), *reversed(public)]) == [REQUIRED[0], *public, *REQUIRED[1:]]


def test_unknown_members_and_arrays_are_told() -> None:
    assert all(map(is_expected, (*REQUIRED, "agreement/x.csv")))
    assert not any(map(is_expected, ("more.json", "agreement", "Agreement/x")))
    assert not holds_arrays(FEDERATION)
    assert not holds_arrays("agreement/x.safetensors")
    assert holds_arrays("weights.safetensors")
