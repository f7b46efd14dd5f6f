import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from common.families.patient_loss import patient_loss
from common.models.graphs import topology
from simulations.benchmarks.measuring import reference
from simulations.benchmarks.measuring.reference import Workload, of_cohort
from simulations.benchmarks.training_step.floor import OPTIMISER, demand, rates
from simulations.benchmarks.training_step.floor import _graph as of_graph


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Workload:
    """The reference configuration on fewer nodes."""
    for name, size in {"GENES": 60, "PROTEINS": 40, "IMAGING": 24, "PATHWAYS": 7, "MEMBERS": 5}.items():
        monkeypatch.setattr(reference, name, size)
    return reference.reference(6)


@pytest.mark.parametrize("shipped", [False, True])
def test_operations_in_products_are_those_that_torch_counts(work: Workload, shipped: bool) -> None:
    work = of_cohort("synthetic", None, 6) if shipped else work
    model = work.model()
    counter = FlopCounterMode(display=False)
    with counter:
        patient_loss(model, work.batch, work.federation, work.cuts).sum().backward()
    assert demand(work).products == counter.get_total_flops()


def test_a_message_is_counted_there_and_back_and_none_where_there_are_no_edges() -> None:
    path = topology(3, [(0, 1), (1, 2)])  # 4 directed edges and 3 loops
    assert of_graph(path, 8, 1, 0, 2)[0] == 2 * (2 * 7 * 8)
    assert of_graph(path, 8, 0, 1, 2)[0] == 3 * (2 * 7 * 8)
    assert of_graph(topology(3, []), 8, 1, 2, 2) == (0, 0)


def test_every_parameter_is_moved_by_the_optimiser_and_more_patients_move_more(work: Workload) -> None:
    few = Workload(work.name, work.federation, work.prior, work.batch.select(torch.arange(2)), work.cuts)
    parameters = sum(own.numel() for own in work.model().parameters())
    assert 4 * OPTIMISER * parameters < demand(few).bytes < demand(work).bytes
    assert demand(few).operations < demand(work).operations


def test_a_machine_has_rates() -> None:
    able = rates(size=64, megabytes=1)
    assert 1e6 < able.products < 1e14
    assert 1e6 < able.copy < 1e13
