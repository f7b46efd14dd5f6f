"""Minibatches share out all patients, each of them once."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from client.training.minibatches import draw_minibatches


@given(patients=st.integers(1, 70), size=st.integers(1, 40))
@settings(deadline=None, max_examples=200)
def test_minibatches_share_the_patients_out_evenly(patients: int, size: int) -> None:
    parts = draw_minibatches(patients, size)
    sizes = [len(part) for part in parts]
    assert torch.cat(parts).sort().values.tolist() == list(range(patients))
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    if patients > 1 and size > 2:
        assert min(sizes) > 1
