"""Tables of the benchmark `train`."""

from simulations.benchmarks.measuring.record import markdown
from simulations.benchmarks.training_step.bench import TrainFigures
from simulations.benchmarks.training_step.networks import ON_CPU, OPPONENT, OURS

AIM_FASTER = {"default": 8.0, "tuned": 3.0}
"""Aim for the speed of a step over PyG's, by allocator."""


AIM_GPU = 10.0
"""Aim for the patients per second of a GPU, in multiples of one CPU core's."""


AIM_MEMORY = 0.4
"""Aim for the peak memory of a step, as a share of PyG's."""


def train_table(figures: TrainFigures) -> str:
    """Write Markdown: costs with ratios and aims, profiles, floors, and the machine."""
    ours = {(cost.workload, cost.allocator): cost for cost in figures.costs if cost.network == OURS}
    head = ["model and cohort", "allocator", "network", "ms", "quartiles", "patients/s"]
    rows = [[*head, "x Consilium", "extra MB", "x Consilium", "of product peak"]]
    for cost in figures.costs:
        base, floor = ours[cost.workload, cost.allocator], figures.floors[cost.workload]
        share = (floor.products + floor.messages) / figures.product_rate / cost.milliseconds * 1000
        rows.append(
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
                f"{share:.0%}" if figures.device == "cpu" else "—",
            ]
        )
    parts = [markdown("lll" + "r" * 7, rows), _aims(figures)]
    if figures.profiles:
        parts.append(_profile(figures))
    parts += [_least(figures), _conditions(figures)]
    return "\n\n".join(parts)


def _aims(figures: TrainFigures) -> str:
    """Lines that compare each workload with the aims."""
    costs = {(cost.workload, cost.allocator, cost.network): cost for cost in figures.costs}
    lines = []
    for name in figures.floors:
        for allocator, aim in AIM_FASTER.items():
            if (name, allocator, OURS) not in costs:
                continue
            ours, theirs = costs[name, allocator, OURS], costs[name, allocator, OPPONENT]
            faster, memory = theirs.milliseconds / ours.milliseconds, ours.megabytes / theirs.megabytes
            lines.append(
                f"- {name}, {allocator}: {faster:.1f} x as fast as {OPPONENT} (aim {aim:.0f}), "
                f"{memory:.2f} of its memory (aim {AIM_MEMORY})"
            )
            if one_core := costs.get((name, allocator, ON_CPU)):
                times = costs[name, allocator, OURS].patients_per_second / one_core.patients_per_second
                lines.append(f"- {name}: {times:.1f} x the patients of one CPU core (aim {AIM_GPU:.0f})")
    return "\n".join(lines)


def _profile(figures: TrainFigures) -> str:
    """Table of the time of a step of Consilium by kind of operation."""
    rows = [["share of a Consilium step, CPU", *figures.profiles]]
    rows += (
        [kind, *(f"{profile.get(kind, 0):.0%}" for profile in figures.profiles.values())]
        for kind in next(iter(figures.profiles.values()))
    )
    return markdown("l" + "r" * len(figures.profiles), rows)


def _least(figures: TrainFigures) -> str:
    lines = []
    for name, floor in figures.floors.items():
        at_peak = (floor.products + floor.messages) / figures.product_rate * 1000
        have = ", ".join(f"{modality} {count}" for modality, count in floor.present.items())
        lines.append(
            f"- {name}: {floor.parameters:,} parameters ({OPPONENT} {floor.opponent_parameters:,}); a step is "
            f"{floor.products:.2f} giga-operations in products and {floor.messages:.2f} in messages, "
            f"{at_peak:.0f} ms at the product peak, and moves {floor.gigabytes:.2f} GB, "
            f"{floor.gigabytes / figures.copy_rate * 1000:.0f} ms at the rate of a copy. Patients with: {have}."
        )
    return "\n".join(lines)


def _conditions(figures: TrainFigures) -> str:
    clock = "CPU time" if figures.device == "cpu" else "wall time"
    return (
        f"{figures.patients} patients a step on {figures.device}, one thread, {clock}, medians of alternating steps. "
        "Measured peak of one core "
        f"{figures.product_rate:.0f} giga-operations/s in float32 products, {figures.copy_rate:.0f} GB/s in copies. "
        f"{figures.origin}."
    )
