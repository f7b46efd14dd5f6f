from collections.abc import Callable

from common.agreement.federation import Federation
from common.agreement.settings import Training
from simulations.benchmarks.field.rows import ABLATIONS, OURS, ROWS, applicable

LINEAR = Training(rounds=3, linear_rounds=1)
MakeFederation = Callable[..., Federation]


def test_every_row_applies_to_a_cohort_with_everything(make_federation: MakeFederation) -> None:
    kept, left_out = applicable(ROWS, make_federation(training=LINEAR))
    assert not left_out
    assert list(kept) == [row.name for row in ROWS]
    assert set(kept["late-fusion"][1]) == {"clinical", "genomics", "proteomics", "imaging"}
    assert set(kept["federated-linear"][1]) == {OURS}


def test_rows_that_do_not_apply_have_a_reason(make_federation: MakeFederation) -> None:
    everything = make_federation(training=LINEAR)
    one = everything.model_copy(
        update={"modalities": everything.modalities[:1], "tasks": everything.tasks[:1]}
    )
    kept, left_out = applicable(ROWS, one)
    assert set(kept) == {"null", "attention", "federated-linear", OURS}
    assert len(left_out) == len(ROWS) - len(kept)
    kept, left_out = applicable(ABLATIONS, one)
    assert set(kept) == {OURS, "no-node-graph", "gcn", "gat"}
    assert all(left_out.values())


def test_without_linear_rounds_there_is_no_linear_row(make_federation: MakeFederation) -> None:
    kept, _ = applicable(ROWS, make_federation())
    assert not {"attention", "federated-linear"} & set(kept)
