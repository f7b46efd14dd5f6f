"""The sinks against a real MLflow in a file and real event files."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.home.places import SETTINGS, CoordinatorHome
from server.home.tracking_settings import TrackingSettings
from server.tracking.tracker import Tracker, read_tracking, sinks_of
from tests.server.dashboard.recorded import coordinator, exchange, record, start, write

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return coordinator(tmp_path / "home")


def test_mlflow_has_a_run_once_with_parameters_metrics_and_files(
    home: CoordinatorHome, tmp_path: Path
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow: `make test-tracking`")
    address = f"sqlite:///{tmp_path}/mlflow.db"
    client = mlflow.MlflowClient(tracking_uri=address)
    client.create_experiment("study", artifact_location=(tmp_path / "files").as_uri())
    settings = TrackingSettings(mlflow=address, hospitals=True)
    out = start(home, "1")
    write(out, exchange(1), exchange(2, "north"))
    said = list[str]()
    assert Tracker(home, sinks_of(home, settings), True, said.append).send(out)
    reference = read_tracking(out).sinks["MLflow"].reference
    assert client.get_run(reference).info.status == "RUNNING"
    (out / "tracking.json").unlink()  # as after a loss: the run is known again by its tag
    (out / "report.html").write_text("<p>report</p>")
    write(out, exchange(3, kind="evaluate"), record("completed", rounds=2, best_round=2, best_loss=0.5))
    assert Tracker(home, sinks_of(home, settings), True, said.append).send(out)
    (run,) = client.search_runs([client.get_experiment_by_name("study").experiment_id])
    assert (run.info.run_id, run.info.status, said) == (reference, "FINISHED", [])
    assert run.data.params["training.rounds"] == "30"
    assert run.data.tags["consilium.digest"] == "d" * 64
    assert run.data.metrics["training_loss"] == 1.0
    assert run.data.metrics["kept_validation_loss"] == 0.5
    steps = {metric.step for metric in client.get_metric_history(reference, "validation_loss")}
    assert steps == {0, 1, 2}
    assert {file.path for file in client.list_artifacts(reference)} == {"federation.toml", "report.html"}
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    telemetry = pytest.importorskip("mlflow.telemetry")
    assert telemetry.get_telemetry_client() is None


def test_a_tracker_that_is_gone_ends_no_run(home: CoordinatorHome) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow: `make test-tracking`")
    out, said = start(home, "1"), list[str]()
    write(out, exchange(1))
    sinks = sinks_of(home, TrackingSettings(mlflow="http://127.0.0.1:9"))
    assert not Tracker(home, sinks, False, said.append).send(out)
    assert len(said) == 1


def test_event_files_have_the_curves_also_after_a_resumption(home: CoordinatorHome) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard: `make test-tracking`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings, out = TrackingSettings(tensorboard=Path("events")), start(home, "1")
    for number in (1, 2):
        write(out, exchange(number))
        assert Tracker(home, sinks_of(home, settings), False, print).send(out)
    events = EventAccumulator(str(home.folder / "events" / "study" / "1"))
    events.Reload()
    losses = [(scalar.step, scalar.value) for scalar in events.Scalars("training_loss")]
    assert losses == [(1, 2.0), (2, 1.0)]


def test_the_service_follows_a_run_that_begins_and_leaves_earlier_ones(home: CoordinatorHome) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard: `make test-tracking`")
    with (home.folder / SETTINGS).open("a") as file:
        file.write('\n[tracking]\ntensorboard = "events"\n')
    write(start(home, "1"), exchange(1), record("completed", rounds=1, best_round=1))
    command = [sys.executable, "-P", "-m", "consilium.program", "server.tracking.service", str(home.folder)]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        time.sleep(4)
        out = start(home, "2")
        write(out, exchange(1), record("completed", rounds=1, best_round=1))
        end = time.monotonic() + 30
        while not (state := read_tracking(out).sinks.get("TensorBoard")) or state.ended != "completed":
            assert time.monotonic() < end
            assert service.poll() is None
            time.sleep(0.2)
    finally:
        service.terminate()
        service.wait(10)
    assert [path.name for path in (home.folder / "events" / "study").iterdir()] == ["2"]
    track = [sys.executable, "-m", "consilium", "coordinator", "track", str(home.folder), "1", "--json"]
    done = subprocess.run(track, capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["sinks"]["TensorBoard"]["ended"] == "completed"
    assert (home.folder / "events" / "study" / "1").is_dir()
