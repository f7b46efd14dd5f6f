"""Figures of a model over all sites, from the sites' sums: patients count, not hospitals."""

import math
from collections.abc import Iterable, Mapping

from common.messages.exchange import Numbers
from common.messages.validation import (
    SUMS,
    TRAINING_LOSS,
    VALIDATION_LOSS,
    VALIDATION_PATIENTS,
    VALIDATION_SQUARES,
    comparable,
    concordant,
    pair_names,
)

Metrics = Mapping[str, Numbers]
"""Site -> the metrics of its reply."""


def known_metrics(metrics: Numbers, tasks: Iterable[str]) -> Numbers:
    """Keep the finite metrics among those a reply may carry, and nothing else."""
    names = (*SUMS, TRAINING_LOSS, *pair_names(tasks))
    return {name: metrics[name] for name in names if name in metrics and math.isfinite(metrics[name])}


def validation_loss(sites: Metrics) -> float | None:
    """Return the mean loss per validation patient; a site whose loss is not finite is left out."""
    parts = [
        (metrics[VALIDATION_LOSS], metrics[VALIDATION_PATIENTS])
        for metrics in sites.values()
        if metrics.get(VALIDATION_PATIENTS, 0.0) > 0 and VALIDATION_LOSS in metrics
    ]
    return _ratio(parts)


def validation_error(sites: Metrics) -> float | None:
    """Return the standard error of the mean loss per validation patient."""
    known = [
        metrics
        for metrics in sites.values()
        if metrics.get(VALIDATION_PATIENTS, 0.0) > 0 and {VALIDATION_LOSS, VALIDATION_SQUARES} <= set(metrics)
    ]
    mean = _ratio([(site[VALIDATION_LOSS], site[VALIDATION_PATIENTS]) for site in known])
    square = _ratio([(site[VALIDATION_SQUARES], site[VALIDATION_PATIENTS]) for site in known])
    if mean is None or square is None:
        return None
    error = math.sqrt(max(square - mean * mean, 0.0) / math.fsum(site[VALIDATION_PATIENTS] for site in known))
    return error if math.isfinite(error) else None


def training_loss(sites: Metrics, patients: Mapping[str, float]) -> float | None:
    """Return the mean training loss per patient, from the sites' means and numbers of patients."""
    parts = [
        (metrics[TRAINING_LOSS] * patients[site], patients[site])
        for site, metrics in sites.items()
        if patients.get(site, 0.0) > 0 and TRAINING_LOSS in metrics
    ]
    return _ratio(parts)


def concordance(sites: Metrics, tasks: Iterable[str]) -> dict[str, float]:
    """Return by task the concordant over the comparable pairs of all sites, if there are any."""
    scores = {}
    for task in tasks:
        pairs = [
            (metrics.get(concordant(task), -1.0), metrics.get(comparable(task), 0.0))
            for metrics in sites.values()
        ]
        score = _ratio([(good, all_) for good, all_ in pairs if 0 <= good <= all_])
        if score is not None:
            scores[task] = score
    return scores


def _ratio(parts: list[tuple[float, float]]) -> float | None:
    """Sum of the first over sum of the second, exactly rounded and so independent of order."""
    try:
        below = math.fsum(weight for _, weight in parts)
        ratio = math.fsum(value for value, _ in parts) / below if below > 0 else math.nan
    except (OverflowError, ValueError):  # finite numbers near the largest float have no finite sum
        return None
    return ratio if math.isfinite(ratio) else None
