from simulations.benchmarks.training_step.bench import Floor, StepCost, TrainFigures
from simulations.benchmarks.training_step.networks import OPPONENT, OURS
from simulations.benchmarks.training_step.table import train_table
from simulations.results.machine import machine


def cost(allocator: str, network: str, milliseconds: float, megabytes: float) -> StepCost:
    return StepCost(
        workload="reference",
        allocator=allocator,
        network=network,
        steps=6,
        milliseconds=milliseconds,
        quartiles=(milliseconds - 1, milliseconds + 1),
        patients_per_second=32000 / milliseconds,
        megabytes=megabytes,
    )


def test_ratios_aims_and_the_floor_are_printed() -> None:
    floor = Floor(
        products=4.0, messages=1.0, gigabytes=1.0, parameters=10, opponent_parameters=11, present={"rna": 22}
    )
    costs = TrainFigures(
        machine=machine(),
        device="cpu",
        patients=32,
        product_rate=100.0,
        copy_rate=20.0,
        floors={"reference": floor},
        profiles={"reference": {"matrix products": 0.75, "everything else": 0.25}},
        costs=(cost("default", OURS, 100.0, 30.0), cost("default", OPPONENT, 450.0, 90.0)),
    )
    printed = train_table(costs)
    assert (
        "| reference | default | Consilium | 100.0 | 99.0 to 101.0 | 320 | 1.00 | 30 | 1.00 | 50% |"
        in printed
    )
    assert "| reference | default | PyG | 450.0 | 449.0 to 451.0 | 71 | 4.50 | 90 | 3.00 | 11% |" in printed
    assert "4.5 x as fast as PyG (aim 8), 0.33 of its memory (aim 0.4)" in printed
    assert "tuned" not in printed  # a GPU has no such allocator
    assert "| matrix products | 75% |" in printed
    assert "50 ms at the product peak" in printed
    assert "CPU time" in printed
