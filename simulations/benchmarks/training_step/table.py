"""What `consilium bench train` prints."""

from simulations.benchmarks.training_step.bench import Costs
from simulations.benchmarks.training_step.networks import OPPONENT, OURS

AIM_FASTER = {"default": 8.0, "tuned": 3.0}
"""How many times faster than PyG a step should be, by allocator."""


AIM_MEMORY = 0.4
"""The share of PyG's peak memory that a step should need at most."""


def table(costs: Costs) -> str:
    """Markdown: the costs with their ratios and aims, what a step takes at least, and what they were measured on."""
    ours = {(cost.workload, cost.allocator): cost for cost in costs.costs if cost.network == OURS}
    head = ["model and cohort", "allocator", "network", "ms", "quartiles", "patients/s"]
    lines = [[*head, "x Consilium", "extra MB", "x Consilium", "of product peak"]]
    lines.append(["---"] * 3 + ["---:"] * 7)
    for cost in costs.costs:
        base, floor = ours[cost.workload, cost.allocator], costs.floors[cost.workload]
        share = (floor.products + floor.messages) / costs.product_rate / cost.milliseconds * 1000
        lines.append(
            [
                cost.workload,
                cost.allocator,
                cost.network,
                f"{cost.milliseconds:.1f}",
                f"{cost.quartiles[0]:.1f} to {cost.quartiles[1]:.1f}",
                f"{cost.patients_per_second:.0f}",
                f"{cost.milliseconds / base.milliseconds:.2f}",
                f"{cost.megabytes:.0f}",
                f"{cost.megabytes / base.megabytes:.2f}",
                f"{share:.0%}",
            ]
        )
    parts = [
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        _aims(costs),
        _profile(costs),
        _least(costs),
        _where(costs),
    ]
    return "\n\n".join(parts)


def _aims(costs: Costs) -> str:
    """How far each workload is from what was aimed for."""
    found = {(cost.workload, cost.allocator, cost.network): cost for cost in costs.costs}
    lines = []
    for name in costs.floors:
        for allocator, aim in AIM_FASTER.items():
            if (name, allocator, OURS) not in found:
                continue
            ours, theirs = found[name, allocator, OURS], found[name, allocator, OPPONENT]
            faster, memory = theirs.milliseconds / ours.milliseconds, ours.megabytes / theirs.megabytes
            lines.append(
                f"- {name}, {allocator}: {faster:.1f} x as fast as {OPPONENT} (aim {aim:.0f}), "
                f"{memory:.2f} of its memory (aim {AIM_MEMORY})"
            )
    return "\n".join(lines)


def _profile(costs: Costs) -> str:
    """Where the time of a step of ours goes."""
    lines = ["| of a step of ours, CPU | " + " | ".join(costs.profiles) + " |"]
    lines.append("| --- |" + " ---: |" * len(costs.profiles))
    for kind in next(iter(costs.profiles.values())):
        own = [f"{profile.get(kind, 0):.0%}" for profile in costs.profiles.values()]
        lines.append(f"| {kind} | {' | '.join(own)} |")
    return "\n".join(lines)


def _least(costs: Costs) -> str:
    lines = []
    for name, floor in costs.floors.items():
        at_peak = (floor.products + floor.messages) / costs.product_rate * 1000
        have = ", ".join(f"{own} {count}" for own, count in floor.present.items())
        lines.append(
            f"- {name}: {floor.parameters:,} parameters ({OPPONENT} {floor.opponent_parameters:,}); a step is "
            f"{floor.products:.2f} giga-operations in products and {floor.messages:.2f} in messages, "
            f"{at_peak:.0f} ms at the product peak, and moves {floor.gigabytes:.2f} GB, "
            f"{floor.gigabytes / costs.copy_rate * 1000:.0f} ms at the rate of a copy. Patients with: {have}."
        )
    return "\n".join(lines)


def _where(costs: Costs) -> str:
    where = costs.machine
    clock = "CPU time" if costs.device == "cpu" else "wall time"
    return (
        f"{costs.patients} patients a step on {costs.device}, one thread, {clock}, medians of alternating steps. "
        "Measured peak of one core "
        f"{costs.product_rate:.0f} giga-operations/s in float32 products, {costs.copy_rate:.0f} GB/s in copies. "
        f"{where.processor}, {where.cores} cores, Python {where.python}, torch {where.torch}, "
        f"{costs.date:%Y-%m-%d}."
    )
