"""Time of a training step by kind of operation."""

from collections import Counter
from collections.abc import Callable

from torch.autograd.profiler import profile

STEPS = 5


KINDS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "weighted sums over senders": ("aten::_embedding_bag_forward_only", "aten::_embedding_bag"),
    "products along edges": ("aten::sparse_sampled_addmm",),
    "gathers and sums over edges": (
        "aten::index_select",
        "aten::scatter_add_",
        "aten::index",
        "aten::index_copy",
    ),
    "normalisation": ("aten::native_layer_norm", "aten::native_layer_norm_backward"),
    "ReLU and dropout": ("aten::clamp_min", "aten::threshold_backward", "aten::native_dropout"),
    "exponentials of attention": ("aten::exp_", "aten::leaky_relu_", "aten::leaky_relu_backward"),
    "copies": ("aten::copy_", "aten::cat", "aten::fill_", "aten::zero_"),
    "sums and products, element by element": (
        *("aten::add", "aten::add_", "aten::sub", "aten::mul", "aten::mul_"),
        *("aten::div", "aten::sum", "aten::linalg_vecdot"),
    ),
    "optimiser": ("aten::_fused_adamw_", "aten::linalg_vector_norm", "aten::_foreach_norm"),
}


REST = "everything else, calls themselves included"


def shares(step: Callable[[], object]) -> dict[str, float]:
    """Kind of operation -> share of a step's processor time, largest first and the rest last."""
    kind_of = {operation: kind for kind, operations in KINDS.items() for operation in operations}
    step()
    with profile(use_kineto=False) as watched:  # Kineto writes to standard error
        for _ in range(STEPS):
            step()
    spent: Counter[str] = Counter()
    for event in watched.key_averages():
        spent[kind_of.get(event.key, REST)] += event.self_cpu_time_total
    whole, rest = spent.total(), spent.pop(REST, 0)
    return {kind: time / whole for kind, time in spent.most_common()} | {REST: rest / whole}
