from collections.abc import Callable

import pytest
import torch

from common.patients.batch import PatientBatch, concatenate


def tensors(batch: PatientBatch) -> dict[tuple[str, str], torch.Tensor]:
    return {
        (part, name): tensor
        for part in ("values", "observed", "labels", "labelled")
        for name, tensor in getattr(batch, part).items()
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


def test_a_mask_selects_as_its_indices_do(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(6)
    assert_same(batch.select(torch.arange(6) % 3 == 1), batch.select(torch.tensor([1, 4])))


def test_who_has_a_modality_is_known_on_the_cpu_wherever_the_batch_is(
    make_batch: Callable[..., PatientBatch],
) -> None:
    batch, rows = make_batch(20), torch.tensor([3, 17, 3, 8])
    elsewhere = batch.to(torch.device("meta"))  # where no number can be read
    assert elsewhere.device.type == "meta"
    assert all(
        tensor.device.type == "meta" for tensor in (*elsewhere.values.values(), *elsewhere.labels.values())
    )
    for name in batch.values:
        assert torch.equal(elsewhere.present(name), batch.present(name))
        assert torch.equal(elsewhere.select(rows).present(name), batch.select(rows).present(name))
        assert 0 < int(batch.present(name).sum()) < 20


def test_a_batch_that_is_there_already_is_not_copied(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(3)
    assert batch.to(torch.device("cpu")) is batch


def test_the_size_is_that_of_all_tensors(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(3)
    nodes, labels = 3 + 12 + 3 + 4, 2 + 1 + 2
    assert batch.size == 3 * (4 + 1) * (nodes + labels)


@pytest.mark.cuda
def test_a_batch_goes_to_a_gpu_and_back(make_batch: Callable[..., PatientBatch], gpu: torch.device) -> None:
    batch, rows = make_batch(20), torch.tensor([3, 17, 3, 8])
    assert_same(batch.to(gpu).select(rows).to(torch.device("cpu")), batch.select(rows))


def test_masks_of_presence_are_taken_as_they_are(make_batch: Callable[..., PatientBatch]) -> None:
    batch = make_batch(5)
    masks = {"rna": torch.tensor([True, False, True, False, True])}
    assert torch.equal(batch.with_present(masks).present("rna"), masks["rna"])
    assert torch.equal(batch.with_present(masks).present("protein"), batch.present("protein"))
