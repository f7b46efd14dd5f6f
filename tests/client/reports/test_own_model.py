"""A hospital's own model is the one that a run of it alone would keep."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from client.reports.own_model import own_model
from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
from common.agreement.federation import FILE_NAME, load
from common.agreement.single_site import agreement_of_one
from common.prediction.network import Network
from simulations.cohorts.folders import twin
from simulations.experiment.arms import Job, read_trained, train_federation, write_agreement


@pytest.fixture
def own(small_cohort: Callable[..., Path], tmp_path: Path) -> tuple[Network, Path]:
    """Own model of a hospital of three, with linear rounds first, and the hospital's folder."""
    cohort = small_cohort(tasks=["survival"], training__rounds="5", training__linear_rounds="3")
    folder = twin(cohort / "hospital-1", tmp_path / "played")
    agreement = cohort / FILE_NAME
    site = assemble_site(SiteSources(folder, agreement, simulated=True), SharedAgreement(agreement))
    return own_model(site, cohort), cohort


def test_it_is_what_a_run_of_the_hospital_alone_keeps(own: tuple[Network, Path], tmp_path: Path) -> None:
    network, cohort = own
    alone = write_agreement(
        agreement_of_one(load(cohort / FILE_NAME), "hospital 1"), cohort, tmp_path / "alone"
    )
    job = Job(alone.path, (twin(cohort / "hospital-1", tmp_path / "sites"),), -1, 0, tmp_path / "run")
    train_federation(job, "serial")
    kept = read_trained(job.out).result
    assert set(network.weights) == set(kept.weights)
    for name, array in kept.weights.items():
        assert np.allclose(network.weights[name], array, rtol=1e-3, atol=1e-5), name


def test_it_is_the_same_when_it_is_trained_again(own: tuple[Network, Path], tmp_path: Path) -> None:
    network, cohort = own
    sources = SiteSources(twin(cohort / "hospital-1", tmp_path / "again"), cohort / FILE_NAME, simulated=True)
    again = own_model(assemble_site(sources, SharedAgreement(cohort / FILE_NAME)), cohort)
    assert all(np.array_equal(again.weights[name], array) for name, array in network.weights.items())
