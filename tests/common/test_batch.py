from collections.abc import Callable
from dataclasses import fields

import torch

from common.batch import PatientBatch, concatenate


def tensors(batch: PatientBatch) -> dict[tuple[str, str], torch.Tensor]:
    return {
        (field.name, name): tensor
        for field in fields(batch)
        for name, tensor in getattr(batch, field.name).items()
    }


def assert_same(first: PatientBatch, second: PatientBatch) -> None:
    ours, theirs = tensors(first), tensors(second)
    assert list(ours) == list(theirs)
    for key, tensor in ours.items():
        assert tensor.dtype == theirs[key].dtype
        assert torch.equal(tensor, theirs[key])


def test_select_takes_every_part_of_a_patient(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(6)
    chosen = batch.select(torch.tensor([4, 1, 1]))
    assert len(chosen) == 3
    for key, tensor in tensors(chosen).items():
        assert torch.equal(tensor, torch.stack([tensors(batch)[key][place] for place in (4, 1, 1)]))


def test_a_mask_selects_as_indices_do(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(6)
    mask = torch.tensor([True, False, True, False, False, True])
    assert_same(batch.select(mask), batch.select(torch.tensor([0, 2, 5])))


def test_no_patient_is_still_a_batch(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(6)
    nobody = batch.select(torch.zeros(6, dtype=torch.bool))
    assert len(nobody) == 0
    assert_same(concatenate([nobody, batch]), batch)


def test_concatenated_parts_are_the_whole_in_order(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(7)
    parts = [batch.select(rows) for rows in torch.arange(7).split(3)]
    assert_same(concatenate(parts), batch)
    assert_same(concatenate(parts[::-1]), batch.select(torch.tensor([6, 3, 4, 5, 0, 1, 2])))


def test_present_means_anything_observed() -> None:
    observed = {"rna": torch.tensor([[True, False], [False, False], [True, True]])}
    batch = PatientBatch({"rna": torch.zeros(3, 2)}, observed, {}, {})
    assert batch.present("rna").tolist() == [True, False, True]
