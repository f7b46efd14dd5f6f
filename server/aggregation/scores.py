"""A model's figures over all sites, from each site's sums: what counts is the patient, not the hospital."""

import math
from collections.abc import Iterable, Mapping

from common.messages.exchange import Numbers

Metrics = Mapping[str, Numbers]
"""Site -> the metrics of its reply."""


def known_metrics(metrics: Numbers, tasks: Iterable[str]) -> Numbers:
    """The finite metrics among those a reply may carry; nothing else is kept."""
    names = ["validation_loss", "validation_squares", "validation_patients", "training_loss"]
    names += [f"{kind}:{task}" for task in tasks for kind in ("concordant", "comparable")]
    return {name: metrics[name] for name in names if name in metrics and math.isfinite(metrics[name])}


def validation_loss(sites: Metrics) -> float | None:
    """Mean loss per validation patient; a site whose loss is not finite is left out."""
    parts = [
        (metrics["validation_loss"], metrics["validation_patients"])
        for metrics in sites.values()
        if metrics.get("validation_patients", 0.0) > 0 and "validation_loss" in metrics
    ]
    return _ratio(parts)


def validation_error(sites: Metrics) -> float | None:
    """Standard error of the mean loss per validation patient, from the sites' sums of losses and of their squares."""
    known = [
        metrics
        for metrics in sites.values()
        if metrics.get("validation_patients", 0.0) > 0
        and {"validation_loss", "validation_squares"} <= set(metrics)
    ]
    mean = _ratio([(site["validation_loss"], site["validation_patients"]) for site in known])
    square = _ratio([(site["validation_squares"], site["validation_patients"]) for site in known])
    if mean is None or square is None:
        return None
    error = math.sqrt(
        max(square - mean * mean, 0.0) / math.fsum(site["validation_patients"] for site in known)
    )
    return error if math.isfinite(error) else None


def training_loss(sites: Metrics, patients: Mapping[str, float]) -> float | None:
    """Mean training loss per patient, from each site's mean and its number of training patients."""
    parts = [
        (metrics["training_loss"] * patients[site], patients[site])
        for site, metrics in sites.items()
        if patients.get(site, 0.0) > 0 and "training_loss" in metrics
    ]
    return _ratio(parts)


def concordance(sites: Metrics, tasks: Iterable[str]) -> dict[str, float]:
    """Task -> concordant over comparable pairs of all sites; a task without a comparable pair is left out."""
    scores = {}
    for task in tasks:
        pairs = [
            (metrics.get(f"concordant:{task}", -1.0), metrics.get(f"comparable:{task}", 0.0))
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
