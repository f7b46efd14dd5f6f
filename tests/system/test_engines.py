"""The contract: one federation of the real apps, whichever engine plays the hospitals."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import torch

from common.agreement.federation import FILE_NAME, load, save
from common.errors import RefusalCode
from common.models.registry import build_model
from common.patients.preprocessing import unpack_preprocessing
from server.app import server_app
from server.records.dropped import Dropped, DropReason
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import write_cohort
from simulations.engines.in_process import run_in_process
from simulations.engines.names import Engine
from simulations.experiment.arms import CLIENT_APP, TrainedFederation, read_trained

SmallCohort = Callable[..., Path]
ENGINES = [
    pytest.param("serial", True, id="serial-wire"),
    pytest.param("processes", False, id="processes"),
    pytest.param("ray", False, id="ray", marks=pytest.mark.ray),
]


@pytest.fixture
def ray(request: pytest.FixtureRequest) -> str | None:
    """Address of the Ray that a test on this engine joins."""
    if request.node.get_closest_marker("ray") is None:
        return None
    address: str = request.getfixturevalue("ray_address")
    return address


def federate(
    cohort: Path, out: Path, engine: Engine = "serial", serialise: bool = False, ray: str | None = None
) -> TrainedFederation:
    """Train in the cohort's own site folders, in as many runs as a test asks for."""
    for site in find_sites(cohort):
        file = site / "site.toml"
        if "[policy]" not in file.read_text():
            file.write_text(f"{file.read_text()}\n[policy]\nmaximum_runs = 9\n")
    nodes = [{"site": str(site), "federation": str(cohort / FILE_NAME)} for site in find_sites(cohort)]
    config: dict[str, bool | float | int | str] = {
        "federation": str(cohort / FILE_NAME),
        "out": str(out),
        "fold": 0,
        "seed": load(cohort / FILE_NAME).training.seed,
    }
    run_in_process(server_app(), CLIENT_APP, nodes, config, engine, serialise, workers=2, ray_address=ray)
    return read_trained(out)


def assert_same(one: TrainedFederation, other: TrainedFederation) -> None:
    assert one.result.weights.keys() == other.result.weights.keys()
    for name, array in one.result.weights.items():
        assert array.tobytes() == other.result.weights[name].tobytes(), name
    for part in ("center", "spread", "cuts"):
        mine, theirs = (
            getattr(unpack_preprocessing(one.result.preprocessing), part),
            getattr(unpack_preprocessing(other.result.preprocessing), part),
        )
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert [told.model_copy(update={"seconds": 0.0}) for told in one.rounds] == [
        told.model_copy(update={"seconds": 0.0}) for told in other.rounds
    ]


@dataclass(frozen=True)
class Expected:
    """Training on the serial engine, and the cohort in whose site folders it took place."""

    cohort: Path
    trained: TrainedFederation


def trained_once(
    cohort_in: Callable[..., SmallCohort], factory: pytest.TempPathFactory, **settings: str
) -> Expected:
    folder = factory.mktemp("expected")
    cohort = cohort_in(folder)(training__rounds="3", **settings)
    return Expected(cohort, federate(cohort, folder / "out"))


@pytest.fixture(scope="module")
def plain(cohort_in: Callable[..., SmallCohort], tmp_path_factory: pytest.TempPathFactory) -> Expected:
    return trained_once(cohort_in, tmp_path_factory)


@pytest.fixture(
    scope="module", params=[{"wire__update": "int8"}, {"wire__update": "top-k", "wire__share": "0.1"}]
)
def encoded(
    request: pytest.FixtureRequest,
    cohort_in: Callable[..., SmallCohort],
    tmp_path_factory: pytest.TempPathFactory,
) -> Expected:
    """The same with encoded updates."""
    return trained_once(cohort_in, tmp_path_factory, **request.param)


def test_training_moves_what_a_site_has_data_for(plain: Expected) -> None:
    trained = plain.trained
    assert trained.run.status == "completed"
    assert trained.run.sites == ("hospital 1", "hospital 2", "hospital 3")
    assert trained.rounds[0].sites["hospital 2"].patients["branches.rna"] == 0
    untrained = build_model(load(plain.cohort / FILE_NAME), plain.cohort, seed=0).state_dict()
    moved = [
        name for name, array in trained.result.weights.items() if (array != untrained[name].numpy()).any()
    ]
    assert any(name.startswith("branches.rna") for name in moved)


def test_encoding_leaves_a_residual_and_changes_the_weights(plain: Expected, encoded: Expected) -> None:
    assert encoded.trained.run.status == "completed"
    assert not any(told.dropped for told in encoded.trained.rounds)
    assert len(list(encoded.cohort.glob("*/state/residual/residual.safetensors"))) == 3
    weights, without = encoded.trained.result.weights, plain.trained.result.weights
    assert any((array != without[name]).any() for name, array in weights.items())


@pytest.mark.parametrize(("engine", "serialise"), ENGINES)
def test_every_engine_trains_the_same_weights(
    plain: Expected, tmp_path: Path, engine: Engine, serialise: bool, ray: str | None
) -> None:
    assert_same(federate(plain.cohort, tmp_path / engine, engine, serialise, ray), plain.trained)


@pytest.mark.parametrize(
    ("engine", "serialise"),
    [*ENGINES[:2], pytest.param("ray", False, id="ray", marks=[pytest.mark.ray, pytest.mark.slow])],
)
def test_every_engine_trains_the_same_weights_of_encoded_updates(
    encoded: Expected, tmp_path: Path, engine: Engine, serialise: bool, ray: str | None
) -> None:
    """In the same site folders, run after run: what encoding has left of one run has no part in another."""
    assert_same(federate(encoded.cohort, tmp_path / engine, engine, serialise, ray), encoded.trained)


@pytest.mark.slow
@pytest.mark.parametrize(("engine", "serialise"), ENGINES)
def test_every_engine_trains_the_same_weights_on_a_cohort_as_it_comes(
    tmp_path: Path, engine: Engine, serialise: bool
) -> None:
    write_cohort("synthetic", None, tmp_path / "cohort")
    federation = load(tmp_path / "cohort" / FILE_NAME).changed(
        {"training.rounds": "10", "training.linear_rounds": "0"}
    )
    save(federation, tmp_path / "cohort" / FILE_NAME)
    expected = federate(tmp_path / "cohort", tmp_path / "expected")
    assert_same(federate(tmp_path / "cohort", tmp_path / engine, engine, serialise), expected)


def test_a_site_with_invalid_tables_is_left_out_with_a_reason_and_the_others_go_on(
    small_cohort: SmallCohort, tmp_path: Path, canary: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cohort = small_cohort()
    canary.plant(cohort / "hospital-3" / "clinical.csv", "clinical_1", valid=False)
    trained = federate(cohort, tmp_path / "out")
    assert "refused: cohort-invalid" in caplog.text
    assert not canary.seen_in(caplog.text)

    assert trained.run.sites == ("hospital 1", "hospital 2")
    assert trained.run.status == "completed"
    refused = [each for each in trained.run.left_out if each.node is not None]
    assert refused == [
        Dropped(node=refused[0].node, reason=DropReason.REFUSED, code=RefusalCode.COHORT_INVALID)
    ]
    assert all(set(told.sites) == {"hospital 1", "hospital 2"} for told in trained.rounds)

    shutil.rmtree(cohort / "hospital-3")
    federation = load(cohort / FILE_NAME)
    two = federation.model_copy(update={"participants": federation.participants[:2]})
    save(two, cohort / FILE_NAME)
    assert_same(trained, federate(cohort, tmp_path / "two"))


def test_no_canary_leaves_a_site(
    small_cohort: SmallCohort, tmp_path: Path, canary: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    cohort = small_cohort()
    canary.plant(cohort / "hospital-1" / "imaging.csv", "image_1", valid=True)
    canary.plant(cohort / "hospital-3" / "clinical.csv", "clinical_1", valid=False)
    assert set(canary.files_with_it(cohort / "hospital-1")) == {
        path.name for path in (cohort / "hospital-1").glob("*.csv")
    }
    forkserver._forkserver._stop()  # type: ignore[attr-defined]  # a new one writes where this test listens
    trained = federate(cohort, tmp_path / "out", "processes")

    assert trained.run.sites == ("hospital 1", "hospital 2")
    printed = capfd.readouterr()
    assert "clinical.csv, column clinical_1: has cells that are not numbers" in printed.err
    assert not canary.seen_in(printed.out + printed.err)
    assert not canary.files_with_it(tmp_path / "out")
