from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, load
from common.agreement.privacy_settings import Privacy
from common.agreement.single_site import agreement_of_one
from common.errors import InputCode, InputError, RefusalCode
from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction
from common.models.registry import build_model
from common.patients.preprocessing import unpack_preprocessing
from server.records.journal import RoundRecord
from server.runs.coordination import RunFailed
from simulations.cohorts.folders import find_sites, pool_sites, twin
from simulations.engines.names import Engine
from simulations.experiment.arms import (
    Job,
    read_trained,
    train_federation,
    train_side_by_side,
    write_agreement,
)
from simulations.families.patients.prediction import predict
from simulations.results.reasons import Cause

SmallCohort = Callable[..., Path]


def job(cohort: Path, out: Path, seed: int = 0) -> Job:
    sites = tuple(twin(site, out.parent / f"{out.name}-sites" / site.name) for site in find_sites(cohort))
    return Job(cohort / FILE_NAME, sites, 0, seed, out)


def own_job(cohort: Path, site: str, work: Path) -> Job:
    """One hospital's federation with itself."""
    federation = agreement_of_one(load(cohort / FILE_NAME), site.replace("-", " "))
    agreement = write_agreement(federation, cohort, work / f"agreement-{site}")
    return Job(agreement.path, (twin(cohort / site, work / "sites" / site),), 0, 0, work / site)


def test_an_agreement_comes_with_its_public_files(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    federation = load(cohort / FILE_NAME)
    written = write_agreement(federation, cohort, tmp_path / "new" / "folder")
    assert load(written.path) == federation
    assert build_model(federation, written.path.parent, 1).state_dict().keys()
    assert sorted(path.name for path in (tmp_path / "new" / "folder").rglob("*.*")) == sorted(
        [FILE_NAME, *(path.name for path in (cohort / "prior").iterdir())]
    )


def test_alone_differs_in_participants_and_in_what_is_withheld_only(small_cohort: SmallCohort) -> None:
    federation = load(small_cohort() / FILE_NAME)
    own = agreement_of_one(federation, "hospital 2")
    assert [participant.name for participant in own.participants] == ["hospital 2"]
    assert own.statistics.minimum_count == 1
    same = {"participants", "statistics"}
    private = federation.model_copy(
        update={"privacy": Privacy(noise_multiplier=1, sampling_rate=1, expected_batch_size=10)}
    )
    assert agreement_of_one(private, "hospital 2") == own, "a hospital has nothing to hide from itself"
    assert agreement_of_one(federation.changed({"wire.update": "int8"}), "hospital 2") == own, (
        "nor bytes to save"
    )
    assert own.model_dump(exclude=same) == federation.model_dump(exclude=same)


def test_a_trained_federation_is_read_back_and_predicts_every_task(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    heard: list[RoundRecord] = []
    train_federation(job(cohort, tmp_path / "out"), on_round=heard.append)
    trained = read_trained(tmp_path / "out")
    assert list(trained.rounds) == heard
    assert [(told.kind, told.round) for told in heard] == [("train", 1), ("train", 2), ("evaluate", 3)]
    assert (trained.run.status, trained.run.rounds, trained.run.fold) == ("completed", 2, 0)

    federation = load(cohort / FILE_NAME)
    patients = read_cohort(cohort / "hospital-2", federation).batch
    model = build_model(federation, cohort, seed=99)
    predicted = predict(trained.result, model, federation, patients)
    survival, response, toxicity = (predicted[task.name] for task in federation.tasks)
    assert isinstance(survival, SurvivalPrediction)
    assert isinstance(response, ClassPrediction)
    assert isinstance(toxicity, LabelPrediction)
    assert survival.survival.shape == (30, 12)
    assert (np.diff(survival.survival, axis=1) <= 0).all()
    np.testing.assert_array_equal(
        survival.times, unpack_preprocessing(trained.result.preprocessing).cuts["survival"].numpy()
    )
    np.testing.assert_allclose(response.probability.sum(1), 1, rtol=1e-6)
    assert toxicity.probability.shape == (30, 3)
    again = predict(trained.result, build_model(federation, cohort, seed=5), federation, patients)["survival"]
    assert isinstance(again, SurvivalPrediction)
    np.testing.assert_array_equal(again.risk, survival.risk)


def test_a_pooled_site_alone_trains_on_everyones_patients(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    pooled = pool_sites(find_sites(cohort), tmp_path, "pooled")
    agreement = write_agreement(
        agreement_of_one(load(cohort / FILE_NAME), "pooled"), cohort, tmp_path / "agreement"
    )
    train_federation(Job(agreement.path, (pooled,), 0, 0, tmp_path / "out"))
    held = sum((pd.read_csv(site / "outcomes.csv")["fold"] == 0).sum() for site in find_sites(cohort))
    reported = read_trained(tmp_path / "out").rounds[0].sites["pooled"].patients["patients"]
    assert reported == round((90 - held) * 0.85)


def test_jobs_side_by_side_are_the_jobs_one_by_one_and_a_failed_one_stops_no_other(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    outcomes = pd.read_csv(cohort / "hospital-1" / "outcomes.csv", dtype=str)
    outcomes.assign(died="0").to_csv(cohort / "hospital-1" / "outcomes.csv", index=False)
    told: dict[str, Cause | None] = {}
    jobs = [own_job(cohort, site, tmp_path / "side") for site in ("hospital-1", "hospital-2", "hospital-3")]
    train_side_by_side(jobs, 1, lambda job, failure: told.update({job.out.name: failure}))
    failure = told.pop("hospital-1")
    assert failure is not None
    assert failure.code == InputCode.CONTENT_INVALID
    assert "survival" in failure.text
    assert told == {"hospital-2": None, "hospital-3": None}

    one = own_job(cohort, "hospital-3", tmp_path / "one")
    train_federation(one)
    ours, theirs = read_trained(one.out).result.weights, read_trained(jobs[2].out).result.weights
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises((RunFailed, InputError)):
        train_federation(own_job(cohort, "hospital-1", tmp_path / "two"))


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_that_have_not_begun_stay_undone_when_it_is_over(
    small_cohort: SmallCohort, tmp_path: Path, processes: int
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    jobs = [job(cohort, tmp_path / str(number)) for number in range(5)]
    ended: list[Path] = []
    train_side_by_side(
        jobs, processes, lambda job, failure: ended.append(job.out), is_over=lambda: bool(ended)
    )
    assert len(ended) == (1 if processes == 1 else processes + 1)
    assert sorted(ended) == [job.out for job in jobs if job.out.is_dir()]


def test_the_seed_decides_the_weights(small_cohort: SmallCohort, tmp_path: Path) -> None:
    weights = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = {"training__rounds": "1", "training__seed": str(seed)}
        cohort = small_cohort(f"cohort-{name}", tasks=["survival"], **settings)
        train_federation(job(cohort, tmp_path / name, seed))
        flat = [
            torch.from_numpy(array).flatten()
            for array in read_trained(tmp_path / name).result.weights.values()
        ]
        weights.append(torch.cat(flat))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_simulation_trains_where_it_is_told_to_whatever_the_site_files_say(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    train_federation(job(cohort, tmp_path / "as-it-is"))
    for site in find_sites(cohort):
        file = site / "site.toml"
        file.write_text('device = "cuda:999"\n' + file.read_text())
    with pytest.raises(RunFailed):
        train_federation(job(cohort, tmp_path / "elsewhere"))
    told = (tmp_path / "elsewhere" / "journal.jsonl").read_text()
    assert RefusalCode.DEVICE_UNAVAILABLE in told
    train_federation(replace(job(cohort, tmp_path / "here"), device="cpu"))
    here, before = (read_trained(tmp_path / name).result.weights for name in ("here", "as-it-is"))
    assert all(np.array_equal(here[name], array) for name, array in before.items())


@pytest.mark.cuda
def test_sites_share_a_gpu_on_every_engine(
    small_cohort: SmallCohort, tmp_path: Path, gpu: torch.device
) -> None:
    off = {"model__dropout": "0", "model__node_dropout": "0", "model__modality_dropout": "0"}
    cohort = small_cohort(tasks=["survival"], **off)
    losses = {}
    engines: dict[str, Engine] = {"cpu": "serial", "cuda:0": "serial", "cuda": "processes"}
    for device, engine in engines.items():
        one = replace(job(cohort, tmp_path / device), device=device)
        train_federation(one, engine)
        losses[device] = [told.validation_loss for told in read_trained(one.out).rounds]
    assert losses["cuda:0"] == pytest.approx(losses["cpu"], rel=1e-2)
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=1e-2)
