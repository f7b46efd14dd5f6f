"""Ray clusters of this machine alone, for tests."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def loopback_cluster(*cores: int) -> Iterator[Any]:
    """Start a Ray on the loopback interface, a node for each number of cores, as machines would be."""
    pytest.importorskip("ray", reason="the optional Ray engine is not installed")
    from ray._private import ray_constants

    clusters: Any = importlib.import_module("ray.cluster_utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        cluster = clusters.Cluster()
        try:
            for number in cores:
                cluster.add_node(num_cpus=number, node_ip_address="127.0.0.1", include_dashboard=False)
            yield cluster
        finally:
            cluster.shutdown()
