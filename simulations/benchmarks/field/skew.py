"""Cohort whose patients are divided anew among its hospitals, with skewed outcomes.

Every hospital keeps its number of patients. For a hospital, shares of the outcomes are drawn from a Dirichlet
distribution with concentration alpha times the shares of the whole cohort, and patients are drawn by them without
replacement; an outcome of which no patient is left has no share any more (Hsu, Qi & Brown 2019). With a large alpha
all hospitals are alike; with a small one most have patients of one outcome.
"""

from collections.abc import Hashable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client.data.cohort import Cohort
from client.families.played import read_played
from client.site_folder.played_site import PlayedSite, play
from common.agreement.federation import Federation
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort
from simulations.cohorts.folders import find_sites
from simulations.experiment.arms import write_agreement
from simulations.experiment.preparing import MADE_FOLDS
from simulations.families.folds import with_folds
from simulations.families.patients.study import PatientStudy

ALPHAS = (10.0, 1.0, 0.3, 0.1)
"""Concentrations of the Dirichlet distribution, from hospitals nearly alike to strong skew."""


def skewed(cohort: CohortFolder, folder: Path, alpha: float, seed: int = 0) -> CohortFolder:
    """Play the cohort's patients as hospitals with skewed outcomes of the first task.

    Patients keep the folds in which they are held out, so that models are judged on the same patients as without skew.
    Outcomes are events of survival, classes of a response, and cases of the last label of a toxicity.
    """
    federation = cohort.federation
    assert isinstance(federation, Federation)
    write_agreement(federation, cohort.folder, folder)
    study = PatientStudy()
    sites, _ = with_folds(study, find_sites(cohort.folder), federation, folder / "parts", MADE_FOLDS, 0)
    parts = [
        str(play(site).write(folder / "parts" / "played" / str(number))) for number, site in enumerate(sites)
    ]
    cohorts = [holding for site in sites if isinstance(holding := read_played(site, federation), Cohort)]
    outcomes = [outcome for of in cohorts for outcome in study.strata(of, federation)]
    folds = torch.cat([of.fold for of in cohorts]).numpy()
    divided = divide(outcomes, [len(of.fold) for of in cohorts], alpha, np.random.default_rng(seed))
    for site, of, patients in zip(sites, cohorts, divided, strict=True):
        PlayedSite(
            name=of.site,
            tables={},
            parts=tuple(parts),
            units=tuple(patients.tolist()),
            folds=tuple(folds[patients].tolist()),
        ).write(folder / site.name)
    return open_cohort(folder)


def divide(
    outcomes: Sequence[Hashable], sizes: Sequence[int], alpha: float, rng: np.random.Generator
) -> list[NDArray[np.intp]]:
    """Divide patients among hospitals; return the indices of every hospital's patients.

    Args:
        outcomes: of every patient.
        sizes: patients of every hospital, as many in all as there are.
        alpha: concentration of the Dirichlet distribution.
        rng: source of the draws.
    """
    names = list(dict.fromkeys(outcomes))
    of_patient = np.array([names.index(outcome) for outcome in outcomes])
    waiting = [rng.permutation(np.flatnonzero(of_patient == number)).tolist() for number in range(len(names))]
    prior = np.array([len(some) for some in waiting]) / len(outcomes)
    hospitals: list[NDArray[np.intp]] = [np.empty(0, dtype=np.intp) for _ in sizes]
    for hospital in rng.permutation(len(sizes)):
        shares = rng.dirichlet(alpha * prior)
        patients = []
        for _ in range(sizes[hospital]):
            left = np.array([bool(some) for some in waiting])
            # of an outcome with a share of 0 patients are drawn only where no other is left
            odds = np.where(left, np.maximum(shares, 1e-12), 0.0)
            patients.append(waiting[rng.choice(len(names), p=odds / odds.sum())].pop())
        hospitals[hospital] = np.sort(np.array(patients, dtype=np.intp))
    return hospitals
