"""Faults change the table that they name, and no other."""

import torch

from common.agreement.modalities import Modality, Plausible
from simulations.benchmarks.spoiling.faults import faults, is_refused
from tests.common.structure import made


def test_every_fault_changes_its_own_table_alone() -> None:
    age = Plausible(unit="years", low=0, high=120)
    clinical = Modality(name="clinical", node="clinical", columns=("age",), ranges={"age": age})
    federation = made.federation()
    federation = federation.model_copy(update={"modalities": (clinical, *federation.modalities[1:])})
    batch = made.patients(12, 3, lacking=0.0)
    batch.values["clinical"][:, 0] = 61.0
    planted = {fault.title: fault for fault in faults(federation, 0)}
    assert len(planted) == 6  # three orders, an age, a turned sign and another patient's table
    for fault in planted.values():
        spoilt = fault.planted(batch)
        changed = [name for name in batch.values if not torch.equal(spoilt.values[name], batch.values[name])]
        assert changed == [fault.modality]
        assert fault.rows(batch).all()
    assert is_refused(planted["clinical: age in months"].planted(batch), federation).all()
    assert not is_refused(batch, federation).any()


def test_patients_without_the_other_table_are_not_counted() -> None:
    batch = made.patients(40, 3, lacking=0.5)
    turned = next(fault for fault in faults(made.federation(), 0) if "turned" in fault.title)
    assert torch.equal(turned.rows(batch), batch.present("protein"))
