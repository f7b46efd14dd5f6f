"""Floors below which a part of a model counts as idle."""

import pytest

from common.models.activity import Activity, BranchActivity, Measure, shortfalls


def measures(
    active: float | None = 1.0,
    share: tuple[float | None, ...] = (0.2, 0.2),
    gradient: float | None = 1.0,
    network: tuple[float | None, ...] = (0.5, 0.5),
    heads: float | None = 1.0,
    edges: tuple[float | None, ...] = (),
) -> list[tuple[str, Measure]]:
    tasks = ("survival", "response")
    branch = BranchActivity(active=active, share=dict(zip(tasks, share, strict=True)), gradient=gradient)
    branch = branch.model_copy(update={"edges": dict(zip(tasks, edges, strict=False))})
    activity = Activity(
        branches={"rna": branch},
        network=dict(zip(tasks, network, strict=True)),
        gradients={"heads": heads},
    )
    return [(below.part, below.measure) for below in shortfalls(activity)]


def test_parts_at_or_above_their_floors_are_not_idle() -> None:
    assert not measures()
    assert not measures(active=0.5, share=(0.01, 0.01), network=(0.01, 0.01))
    assert not shortfalls(Activity())


def test_each_measure_has_its_floor() -> None:
    assert measures(active=0.49) == [("rna", Measure.ACTIVE)]
    assert measures(share=(0.009, 0.0)) == [("rna", Measure.SHARE)]
    assert measures(gradient=0.0) == [("rna", Measure.GRADIENT)]
    assert measures(heads=1e-5) == [("heads", Measure.GRADIENT)]


def test_edges_have_a_floor_where_the_branch_is_above_its_own() -> None:
    assert not measures(edges=(0.01, 0.0))
    assert measures(edges=(0.009, None)) == [("rna", Measure.EDGES)]
    assert measures(share=(0.0, 0.0), edges=(0.0, 0.0)) == [("rna", Measure.SHARE)]


def test_a_part_that_one_task_uses_is_not_idle() -> None:
    assert not measures(share=(0.0, 0.3), network=(0.0, 0.3))


def test_of_a_network_without_effect_the_network_is_named_and_dead_branches() -> None:
    assert measures(share=(0.0, 0.0), network=(0.0, 0.0)) == [("network", Measure.NETWORK)]
    dead = measures(active=0.1, share=(0.0, 0.0), network=(0.0, 0.0))
    assert dead == [("network", Measure.NETWORK), ("rna", Measure.ACTIVE)]


@pytest.mark.parametrize("heads", [None, 0.0])
def test_what_is_unknown_is_below_no_floor(heads: float | None) -> None:
    unknown = measures(active=None, share=(None, None), gradient=None, network=(None, None), heads=heads)
    assert unknown == ([] if heads is None else [("heads", Measure.GRADIENT)])
