from client.prediction.provenance import Provenance


def test_a_model_is_named_by_its_release_or_its_file() -> None:
    assert Provenance(version="lung-1", federation="ab" * 32).model == "lung-1"
    assert "ababababab" in Provenance(version=None, federation="ab" * 32).model
    assert Provenance(version="lung-1", federation="ab" * 32, models=3).model.endswith("3 trainings")
