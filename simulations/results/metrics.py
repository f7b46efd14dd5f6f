"""Metrics as they are titled in tables and figures."""

from common.tasks.registry import metrics


def metric_name(metric: str) -> str:
    """Return a metric's title.

    For a kind of task that is not registered here it is the name in the result.
    """
    return metrics()[metric].title if metric in metrics() else metric


def lower_is_better(metric: str) -> bool:
    """Whether less of a metric is better."""
    return metric in metrics() and metrics()[metric].lower_is_better
