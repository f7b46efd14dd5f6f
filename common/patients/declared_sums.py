"""Names, shapes and ranges of patients' sums and preprocessing, by the federation file.

Nothing here needs torch: the egress gate asks for them.
"""

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.tasks.task import Task

Array = NDArray[np.float64]


def sums(federation: Federation) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a site's sums: `modality:M`, and `KIND:T` and `rest:T` of tasks."""
    nodes = {m.name: len(m.nodes) for m in federation.modalities if m.scale != "none"}
    shapes: dict[str, tuple[int, ...]] = {f"modality:{name}": (3, size) for name, size in nodes.items()}
    shapes |= {moments_name(task): (3, task.moment_columns) for task in tasks_with_moments(federation)}
    return shapes | {rest_name(task): (3, task.moment_columns) for task in tasks_with_rest(federation)}


def ends(federation: Federation) -> dict[str, tuple[Array, Array]]:
    """Lowest and highest value [N] behind the sums of every name; infinite without a limit."""
    limits = {}
    for modality in federation.modalities:
        if modality.scale != "none":
            levels = np.zeros(len(modality.nodes) - len(modality.columns))
            low, high = transformed_range(modality)
            limits[f"modality:{modality.name}"] = (np.append(low, levels), np.append(high, levels + 1))
    limits |= {moments_name(task): task.moment_limits() for task in tasks_with_moments(federation)}
    return limits | {rest_name(task): task.moment_limits() for task in tasks_with_rest(federation)}


def tasks_with_moments(federation: Federation) -> list[Task]:
    """Tasks of which sites share moments."""
    return [task for task in federation.tasks if task.moment_columns]


def moments_name(task: Task) -> str:
    """Name of a task's moments in a message."""
    return f"{task.kind}:{task.name}"


def tasks_with_rest(federation: Federation) -> list[Task]:
    """Tasks of which sites share the quantities of the other patients too; none under privacy.

    Hospitals are compared by them alone, and no noise would be well spent on that.
    """
    return [] if federation.privacy is not None else [t for t in tasks_with_moments(federation) if t.has_rest]


def rest_name(task: Task) -> str:
    """Name of a task's sums over the other patients in a message."""
    return f"rest:{task.name}"


def preparation(federation: Federation) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of preprocessing as arrays: `center:M`, `spread:M`, `cuts:T`.

    Only tasks that prepare their loss have `cuts`.
    """
    sizes = {f"{kind}:{m.name}": len(m.nodes) for kind in ("center", "spread") for m in federation.modalities}
    sizes |= {f"cuts:{task.name}": task.prepared_size for task in prepared_tasks(federation)}
    return {name: (size,) for name, size in sizes.items()}


def prepared_tasks(federation: Federation) -> list[Task]:
    """Tasks whose loss needs something prepared."""
    return [task for task in federation.tasks if task.prepared_size]


def transformed_range(modality: Modality) -> tuple[Array, Array]:
    """Lowest and highest value [columns] after transform and clip; infinite without a limit."""
    ranges = [modality.plausible_for(column) for column in modality.columns]
    low = np.array([-np.inf if plausible.low is None else plausible.low for plausible in ranges])
    high = np.array([np.inf if plausible.high is None else plausible.high for plausible in ranges])
    return _transformed(modality, low), _transformed(modality, high)


def sources(federation: Federation) -> dict[str, str]:
    """Return the table behind the sums of every name."""
    tables = {f"modality:{modality.name}": modality.name for modality in federation.modalities}
    tables |= {moments_name(task): OUTCOMES for task in tasks_with_moments(federation)}
    tables |= {rest_name(task): OUTCOMES for task in tasks_with_rest(federation)}
    return {name: tables[name] for name in sums(federation)}


def bounds(modality: Modality) -> tuple[Array, Array]:
    """Lowest and highest value [columns], at most three typical deviations from the mean.

    They lie within `transformed_range`, and the mean is the typical one.
    """
    low, high = transformed_range(modality)
    center, spread = typical(modality, np.full(len(low), np.nan), np.full(len(low), np.nan))
    return np.fmax(low, center - 3 * spread), np.fmin(high, center + 3 * spread)


def typical(modality: Modality, center: Array, spread: Array) -> tuple[Array, Array]:
    """Center and spread [columns], replaced where clipping leaves a typical range a width."""
    ranges = [modality.plausible_for(column).typical or (np.nan, np.nan) for column in modality.columns]
    low, high = _transformed(modality, np.array(ranges, dtype=np.float64).reshape(-1, 2).T)
    has_width = high > low
    return np.where(has_width, (low + high) / 2, center), np.where(has_width, (high - low) / 2, spread)


def _transformed(modality: Modality, values: Array) -> Array:
    """Values [..., columns] after the transform and clip of a hospital's reader."""
    if modality.transform == "signed_log":
        values = np.sign(values) * np.log1p(np.abs(values))
    return values if modality.clip is None else values.clip(*modality.clip)
