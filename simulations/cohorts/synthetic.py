"""Synthetic patients with a known truth, in every modality and task, with gaps and shifts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.agreement.modalities import Modality, Plausible
from common.agreement.prior_graph import PriorGraph
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.tasks.toxicity import ToxicityTask
from simulations.cohorts.patients import FOLD, SourcePatients, hold_out, refuse_occupied, write_patients
from simulations.cohorts.prior import save_prior

Array = NDArray[np.float64]


STAGES = ("I", "II", "III")


TOXICITIES = ("skin", "gut", "blood")


CENSORED = 0.4


MISSING_CELLS = 0.05


MISSING_LABELS = 0.1


_GENES_PER_PATHWAY = 8


_LONGEST_MONTHS = 600.0


_STAGE_RISK = np.array([-0.8, 0.0, 0.8])


@dataclass(frozen=True)
class Truth:
    """Risks and coefficients behind the labels.

    Attributes:
        risk: site -> [P] log hazard of its patients, in the order of outcomes; mean 0 over everyone.
        clinical: [clinical] log hazard per ten points of each numeric clinical column.
        pathways: [pathways] log hazard per unit of each pathway's activity.
        genes: [genes] log hazard per unit of each gene's RNA.
    """

    risk: dict[str, Array]
    clinical: Array
    pathways: Array
    genes: Array


def write_synthetic(
    out: Path,
    sites: int = 6,
    patients: int = 60,
    seed: int = 0,
    genes: int = 60,
    proteins: int = 20,
    clinical: int = 6,
    imaging: int = 12,
    shift: float = 0.5,
    lacking: float = 0.3,
) -> Truth:
    """Write a synthetic federation and return its truth.

    Genes of a pathway share an activity; the log hazard is linear in clinical values, in the activities of
    two pathways, in three genes and in the stage. Survival is exponential with about 40 % censored; response
    and toxicity are logistic in the same risk. One in twenty cells and one in ten labels is missing.

    Args:
        out: an empty or new folder.
        sites: number of sites.
        patients: patients of each site.
        seed: of everything.
        genes: RNA genes; a third of them have a copy number and a quarter a mutation too.
        proteins: proteins, named like the first genes.
        clinical: numeric clinical columns.
        imaging: image features, log-normal.
        shift: standard deviation over sites of the mean of each clinical, pathway and image variable.
        lacking: probability that a site lacks a modality other than clinical; some site has each of them.

    Raises:
        InputError: if `out` already holds a federation.
    """
    refuse_occupied(out)
    rng = np.random.default_rng(seed)
    site = np.repeat(np.arange(sites), patients)
    pathway_of = pathways_of(genes)

    def shifted(columns: int) -> Array:
        return rng.normal(size=(len(site), columns)) + shift * rng.normal(size=(sites, columns))[site]

    values = shifted(clinical)
    stage = rng.choice(len(STAGES), size=len(site), p=(0.4, 0.35, 0.25))
    activity = shifted(int(pathway_of[-1]) + 1)
    rna = 0.7 * activity[:, pathway_of] + 0.7 * rng.normal(size=(len(site), genes))
    truth = Truth({}, *coefficients(clinical, activity.shape[1], genes))
    risk = values @ truth.clinical + activity @ truth.pathways + rna @ truth.genes + _STAGE_RISK[stage]
    risk -= risk.mean()
    names = [f"hospital {number + 1:0{len(str(sites))}d}" for number in range(sites)]
    truth.risk.update({name: risk[site == number] for number, name in enumerate(names)})

    index = pd.Index([f"S{number:07d}" for number in range(len(site))])
    images = np.exp(1 + shifted(imaging))
    frames = _tables(rng, index, 60 + 10 * values, rna, images, proteins)
    for name, frame in frames.items():
        has = rng.random(sites) >= (0 if name == "clinical" else lacking)
        has[rng.integers(sites)] = True
        frames[name] = frame.mask(rng.random(frame.shape) < MISSING_CELLS)[has[site]]
    levels = pd.Series(np.array(STAGES, dtype=object)[stage], index=index)
    frames["clinical"] = frames["clinical"].assign(stage=levels.mask(rng.random(len(site)) < MISSING_CELLS))
    outcomes = _labels(rng, risk, values).set_axis(index).assign(**{FOLD: hold_out(list(site), seed)})
    where = pd.Series(np.array(names)[site], index=index)
    prior = _prior(out, rng, [str(symbol) for symbol in frames["rna"].columns], pathway_of)
    modalities = [_modality(name, frame) for name, frame in frames.items() if frame.shape[1]]
    least = max(2, min(10, patients))
    write_patients(
        out, "synthetic", SourcePatients(where, outcomes, frames), modalities, _TASKS, prior, least
    )
    return truth


def _tables(
    rng: np.random.Generator, index: pd.Index, clinical: Array, rna: Array, images: Array, proteins: int
) -> dict[str, pd.DataFrame]:
    """Tables of every modality and patient, without gaps."""
    patients, genes = rna.shape
    symbols = [f"G{number + 1}" for number in range(genes)]
    protein = 0.6 * rna[:, :proteins] + 0.8 * rng.normal(size=rna[:, :proteins].shape)
    copy_number = np.round(0.7 * rng.normal(size=(patients, genes // 3))).clip(-2, 2)
    mutation = (rng.random((patients, genes // 4)) < 0.15).astype(float)
    cells = {
        "clinical": (clinical, [f"clinical_{number + 1}" for number in range(clinical.shape[1])]),
        "rna": (rna, symbols),
        "protein": (protein, symbols[:proteins]),
        "copy_number": (copy_number, symbols[: genes // 3]),
        "mutation": (mutation, symbols[genes - genes // 4 :]),
        "imaging": (images, [f"image_{number + 1}" for number in range(images.shape[1])]),
    }
    return {
        name: pd.DataFrame(table.round(4), index=index, columns=columns)
        for name, (table, columns) in cells.items()
    }


def pathways_of(genes: int) -> NDArray[np.int64]:
    """Return the number of every gene's pathway, from 0."""
    return np.arange(genes) // _GENES_PER_PATHWAY


def coefficients(clinical: int, pathways: int, genes: int) -> tuple[Array, Array, Array]:
    """Return the log hazard of clinical columns, pathways and genes.

    Half of the clinical columns, two pathways and three genes matter.
    """
    of_clinical, of_pathways, of_genes = np.zeros(clinical), np.zeros(pathways), np.zeros(genes)
    of_clinical[::2] = 0.4
    of_pathways[:2] = (0.7, -0.7)[:pathways]
    of_genes[-3:] = 0.3
    return of_clinical, of_pathways, of_genes


_TASKS: list[Task] = [
    SurvivalTask(
        name="survival", time="months", event="died", unit="months", longest=_LONGEST_MONTHS, typical=(3, 60)
    ),
    ResponseTask(name="response", label="response", classes=("no", "yes")),
    ToxicityTask(name="toxicity", labels=TOXICITIES),
]


def _labels(rng: np.random.Generator, risk: Array, clinical: Array) -> pd.DataFrame:
    """Labels with gaps: months and died, response, and one column per toxicity."""
    death = 24 * rng.exponential(size=len(risk)) * np.exp(-risk)
    leaving = rng.exponential(size=len(risk))
    leaving *= _scale_for(lambda scale: float((scale * leaving < death).mean()))
    end = np.minimum(leaving, _LONGEST_MONTHS)
    frame = pd.DataFrame({"months": np.minimum(death, end).round(3), "died": (death <= end).astype(float)})
    frame.loc[rng.random(len(risk)) < MISSING_LABELS / 2, ["months", "died"]] = np.nan

    def drawn(logit: Array) -> NDArray[np.bool_]:
        return rng.random(len(logit)) < 1 / (1 + np.exp(-logit))

    answer: NDArray[Any] = np.where(drawn(-0.3 - risk), "yes", "no").astype(object)
    frame["response"] = pd.Series(answer).mask(rng.random(len(risk)) < MISSING_LABELS)
    for number, label in enumerate(TOXICITIES):
        suffered = drawn(-0.8 + 0.5 * risk + clinical[:, number % clinical.shape[1]]).astype(float)
        frame[label] = np.where(rng.random(len(risk)) < MISSING_LABELS, np.nan, suffered)
    return frame


def _scale_for(censored: Callable[[float], float]) -> float:
    """The time scale of leaving at which the wanted share is censored, by bisection."""
    low, high = 1e-3, 1e6
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if censored(middle) > CENSORED else (low, middle)
    return low


_MEASURED = Plausible(unit="standard units", low=-20, high=20, typical=(-1, 1))


_KINDS: dict[str, dict[str, Any]] = {
    "clinical": {
        "node": "clinical",
        "categories": {"stage": STAGES},
        "plausible": Plausible(unit="points", low=-100, high=220, typical=(50, 70)),
    },
    "rna": {"node": "gene", "clip": (-5, 5), "plausible": _MEASURED},
    "protein": {"node": "protein", "plausible": _MEASURED},
    "copy_number": {
        "node": "gene",
        "scale": "none",
        "plausible": Plausible(unit="GISTIC level", low=-2, high=2),
    },
    "mutation": {"node": "gene", "scale": "none", "plausible": Plausible(unit="no/yes", low=0, high=1)},
    "imaging": {
        "node": "imaging",
        "transform": "signed_log",
        "plausible": Plausible(unit="mm2", low=0, high=1e9, typical=(1, 8)),
    },
}


def _modality(name: str, frame: pd.DataFrame) -> Modality:
    columns = tuple(column for column in frame if column != "stage")
    return Modality.model_validate({"name": name, "columns": columns, **_KINDS[name]})


def _prior(
    out: Path, rng: np.random.Generator, symbols: list[str], pathway_of: NDArray[np.int64]
) -> PriorGraph:
    """Edges within each pathway and a few across, the pathways, and a binary tree over them."""
    genes = len(symbols)
    within = [(a, a + 1) for a in range(genes - 1) if pathway_of[a] == pathway_of[a + 1]]
    across = [(int(a), int(b)) for a, b in rng.integers(genes, size=(genes // 2, 2)) if a < b]
    edges = pd.DataFrame(
        [(symbols[a], symbols[b]) for a, b in dict.fromkeys([*within, *across])], columns=["a", "b"]
    )
    pathways = pd.DataFrame({"pathway": [f"P{number + 1}" for number in pathway_of], "gene": symbols})
    tree = [(f"P{child // 2}", f"P{child}") for child in range(2, int(pathway_of[-1]) + 2)]
    return save_prior(out, edges, pathways, pd.DataFrame(tree, columns=["parent", "child"]))
