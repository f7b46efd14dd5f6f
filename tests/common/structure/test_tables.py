"""Tables of patients who have enough of a modality."""

import numpy as np
import pytest
import torch

from common.structure.plan import pairs
from common.structure.tables import both_tables, observed_shares, table
from tests.common.structure import made


def test_patients_with_less_than_half_of_the_columns_have_no_table() -> None:
    federation, batch = made.federation(), made.patients(6, 1, lacking=0.0)
    batch.observed["rna"][0, 40:] = False
    batch.observed["protein"][1] = False
    values, observed = table(batch, federation.modality("rna"))
    assert values.shape == observed.shape == (5, 90)
    left, right, both = both_tables(batch, pairs(federation)[0])
    assert left.shape == right.shape == both.shape == (5, 70)  # 40 of the 70 columns of both
    assert both.sum() == 4 * 70 + 40


def test_a_category_counts_once_and_an_absent_modality_not() -> None:
    federation, batch = made.federation(), made.patients(3, 1)
    batch.observed["clinical"][:] = torch.tensor([[True, True, True], [True, False, False], [False] * 3])
    shares = observed_shares(batch, federation.modality("clinical"))
    assert list(shares[:2]) == pytest.approx([1.0, 0.5])
    assert np.isnan(shares[2])
