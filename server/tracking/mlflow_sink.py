"""Figures of runs in MLflow, by its client for trackers near and far.

MLflow sends data on its use to its makers unless it is told not to; it is told before it is imported.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from server.tracking.sink import Sink, TrackedPoint, TrackedRun

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # whoever uses a sink tries again by itself
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, ViewType

_ENDS = {"completed": "FINISHED", "partial": "FINISHED", "failed": "FAILED"}


RUN_TAG = "consilium.run"
"""Tag by which a run is known again, also where what was noted beside it is lost."""


_MOST_METRICS, _MOST_PARAMETERS, _LONGEST = 1000, 100, 500
"""Limits of MLflow for a batch, and of a value in all of its versions."""


class MlflowSink(Sink):
    """Runs of one tracker, each in the experiment of its federation.

    Args:
        address: MLflow's tracking address.
        experiment: name of the experiment; None for that of the federation.
    """

    name = "MLflow"

    def __init__(self, address: str, experiment: str | None = None) -> None:
        self._address, self._experiment = address, experiment
        self._client: MlflowClient | None = None

    def begin(self, run: TrackedRun, reference: str | None) -> str:
        """Begin a run, or go on with it."""
        client, experiment = self._connected(), self._experiment_of(run)
        earlier = client.get_run(reference) if reference is not None else self._known(experiment, run)
        if earlier is not None:
            client.update_run(earlier.info.run_id, status="RUNNING")
            return str(earlier.info.run_id)
        began = int(1000 * run.began)
        new = client.create_run(experiment, began, {**run.tags, RUN_TAG: run.name}, run.name)
        parameters = [Param(name, value[:_LONGEST]) for name, value in run.parameters.items()]
        for start in range(0, len(parameters), _MOST_PARAMETERS):
            client.log_batch(new.info.run_id, params=parameters[start : start + _MOST_PARAMETERS])
        return str(new.info.run_id)

    def log(self, reference: str, points: Sequence[TrackedPoint]) -> None:
        """Log figures as metrics, with the round as step."""
        metrics = [
            Metric(name, value, int(1000 * point.at), point.round)
            for point in points
            for name, value in point.figures.items()
        ]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._connected().log_batch(reference, metrics=metrics[start : start + _MOST_METRICS])

    def keep(self, reference: str, file: Path) -> None:
        """Store a file as an artefact."""
        self._connected().log_artifact(reference, str(file))

    def end(self, reference: str, state: str) -> None:
        """Set status and tag of a run that ended."""
        client = self._connected()
        client.set_tag(reference, "consilium.state", state)
        client.set_terminated(reference, _ENDS.get(state, "KILLED"))

    def _connected(self) -> MlflowClient:
        if self._client is None:
            self._client = MlflowClient(tracking_uri=self._address)
        return self._client

    def _experiment_of(self, run: TrackedRun) -> str:
        client, name = self._connected(), self._experiment or run.federation
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            return str(client.create_experiment(name))
        return str(experiment.experiment_id)

    def _known(self, experiment: str, run: TrackedRun) -> Run | None:
        digest = run.tags.get("consilium.digest", "")
        condition = f"tags.`{RUN_TAG}` = '{run.name}' and tags.`consilium.digest` = '{digest}'"
        runs = self._connected().search_runs([experiment], condition, ViewType.ACTIVE_ONLY, 1)
        return runs[0] if runs else None
