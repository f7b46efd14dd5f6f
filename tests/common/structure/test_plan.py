"""Modalities and pairs are found from the federation file alone."""

from common.structure.plan import pairs, sized_modalities, uncentered_modalities, wide_modalities
from tests.common.structure import made


def test_wide_modalities_and_pairs_of_one_names_are_found() -> None:
    federation = made.federation()
    assert [part.name for part in wide_modalities(federation)] == ["rna", "copies", "protein"]
    assert [part.name for part in uncentered_modalities(federation)] == ["copies"]
    assert [part.name for part in sized_modalities(federation)] == ["rna", "protein"]
    (pair,) = pairs(federation)
    rna, protein = (federation.modality(name).columns for name in (pair.first, pair.second))
    assert (pair.first, pair.second) == ("rna", "protein")
    assert (
        [rna[index] for index in pair.left]
        == [protein[index] for index in pair.right]
        == list(made.GENES[:70])
    )
