"""Benchmark `explain`: gap, time, faithfulness and agreement of explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from client.data.inspection import read_cohort
from common.agreement.agreement import FILE_NAME
from common.agreement.federation import Federation
from common.agreement.loading import load_agreement
from common.errors import OptionError
from common.explanation.enrichment import TOP as TOP_GENES
from common.explanation.enrichment import enriched, over_represented
from common.models.graphs import Prior
from common.patients.batch import concatenate
from common.prediction.ensemble import require_ensemble
from common.prediction.network import Network, network_of
from common.tasks.task import OutcomeForm
from server.records.result import load_result
from simulations.benchmarks.explaining.judging import PatientFigures, judge
from simulations.benchmarks.explaining.measures import Array, in_common
from simulations.benchmarks.explaining.planted import COHORT, MODALITY, recovery
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.results.machine import machine

SEED = 0
"""Seed of the patients, of the shuffled network and of random orders."""

RANDOM_LISTS = 200
"""Random lists of genes that are tested for enrichment."""

AIMS = {
    "gap, median": "≤ 1%",
    "gap, 95% of patients": "≤ 5%",
    "0.01 of values deleted by contributions": "≥ 0.34 on tcga-brca",
    "0.01 of values deleted by linear scores": "≤ a third of it",
    "0.01 of values deleted by random": "within 0.005 of 0",
    "0.05 of values deleted by contributions": "≥ 0.35 on synthetic",
    "0.05 of values deleted by linear scores": "≤ a third of it",
    "0.05 of values deleted by random": "within 0.005 of 0",
    "signed agreement with a shuffled network": "≤ 0.15",
    "planted genes told from others, area": "≥ 0.95",
    "planted genes with the right sign": "≥ 95%",
    "top tenth of genes in common over trainings": "≥ 70%, or UNSTABLE is printed",
    "random gene lists with an enriched pathway": "≤ 5%",
    "seconds a patient, median": "≤ 1",
}
"""Measure -> the figure that is aimed at."""


@dataclass(frozen=True)
class Faithfulness:
    """Figures of the explanations of one task, over patients.

    Attributes:
        task: its name.
        patients: explained.
        trainings: of the model.
        figures: measure -> figure; a share where its name is in `SHARES`.
    """

    task: str
    patients: int
    trainings: int
    figures: dict[str, float]


SHARES = frozenset(
    {
        "gap, median",
        "gap, 95% of patients",
        "converged",
        "planted genes with the right sign",
        "top tenth of genes in common over trainings",
        "a patient's top values in common over trainings",
        "explanations that say UNSTABLE",
        "random gene lists with an enriched pathway",
    }
)
"""Measures that are shares."""


def run_explain(
    runs: Sequence[Path], cohort: str, data: Path | None, patients: int, shares: Sequence[float]
) -> list[Faithfulness]:
    """Explain patients of a cohort by the model of finished runs, and judge the explanations.

    Of a time to an event it is the risk by the end of the middle hazard interval.

    Args:
        runs: folder of a run, or of several that make an ensemble.
        cohort: name or folder of a cohort of the same columns.
        data: folder of public data.
        patients: at most so many, drawn from all hospitals.
        shares: of a patient's nodes that are deleted.

    Raises:
        InputError: if a run or the cohort cannot be read, they are not about patients, or the runs make no ensemble.
    """
    network, federation = _network(runs)
    with open_cohort(cohort, data=data) as opened:
        batch = concatenate([read_cohort(site, federation).batch for site in find_sites(opened.folder)])
    drawn = torch.randperm(len(batch), generator=torch.Generator().manual_seed(SEED))[:patients]
    rows = [judge(network, batch.select(drawn[row : row + 1]), shares, SEED) for row in range(len(drawn))]
    false = _false_enrichments(federation, network.public)
    judged = []
    for index, task in enumerate(federation.tasks):
        of = [row[index] for row in rows]
        figures = _over_patients(of)
        if len(network.members) > 1:
            figures |= _over_trainings(of, federation)
        if cohort == COHORT and task.form is OutcomeForm.TIME_TO_EVENT:
            figures |= _planted(of, federation)
        figures |= false
        judged.append(Faithfulness(task.name, len(rows), len(network.members), figures))
    return judged


def _network(runs: Sequence[Path]) -> tuple[Network, Federation]:
    networks = []
    for run in runs:
        federation, result = load_agreement(run / FILE_NAME), load_result(run)
        if not isinstance(federation, Federation):
            what = "is about no patients, whose explanations are judged"
            raise OptionError(str(run), what, "name another run")
        remedy = f"put back the {FILE_NAME} that the run was made with, or run it again"
        networks.append(network_of(federation, run, result.weights, result.preprocessing, f"{run}/", remedy))
    if len(runs) > 1:
        require_ensemble({str(run): of.federation for run, of in zip(runs, networks, strict=True)})
    federation = networks[0].federation
    assert isinstance(federation, Federation)
    return replace(networks[0], others=tuple(networks[1:])), federation


def _over_patients(of: Sequence[PatientFigures]) -> dict[str, float]:
    gaps = [figures.gap for figures in of]
    return {
        "gap, median": float(np.median(gaps)),
        "gap, 95% of patients": float(np.quantile(gaps, 0.95)),
        "converged": float(np.mean([figures.explanation.converged for figures in of])),
        **{
            f"{share:.3g} of values deleted by {scores}": float(
                np.mean([figures.deletion[scores, share] for figures in of])
            )
            for scores, share in sorted(of[0].deletion, key=lambda key: key[1])
        },
        "signed agreement with a shuffled network": float(np.nanmean([figures.signed for figures in of])),
        "the same of sizes": float(np.nanmean([figures.unsigned for figures in of])),
        "seconds a patient, median": float(np.median([figures.seconds for figures in of])),
    }


def _over_trainings(of: Sequence[PatientFigures], federation: Federation) -> dict[str, float]:
    agreements = [figures.explanation.agreement for figures in of]
    made = [agreement for agreement in agreements if agreement is not None]
    names = [modality.name for modality in federation.modalities if modality.node == "gene"]
    sizes = np.array([_mean_sizes(of, training, names) for training in range(len(of[0].members))])
    return {
        "top tenth of genes in common over trainings": in_common(sizes, TOP_GENES) if names else np.nan,
        "a patient's top values in common over trainings": float(np.mean([a.in_common for a in made])),
        "explanations that say UNSTABLE": float(np.mean([a.unstable for a in made])),
    }


def _mean_sizes(of: Sequence[PatientFigures], training: int, names: Sequence[str]) -> Array:
    """Return the mean size [nodes] of contributions over patients, of the nodes of modalities."""
    sums = [
        sum((figures.members[training][name].abs() for figures in of), torch.zeros(())).numpy()
        for name in names
    ]
    return np.concatenate([*sums, np.zeros(0)]) / len(of)


def _planted(of: Sequence[PatientFigures], federation: Federation) -> dict[str, float]:
    trainings = range(len(of[0].members))
    sizes: Array = np.mean([_mean_sizes(of, training, [MODALITY]) for training in trainings], axis=0)
    slopes = sum(
        (figures.members[training][MODALITY] * figures.values[MODALITY])
        for figures in of
        for training in trainings
    )
    recovered = recovery(federation, sizes, slopes.numpy())  # type: ignore[union-attr]
    return {
        "planted genes told from others, area": recovered.area,
        "those planted by themselves, area": recovered.direct,
        "planted genes with the right sign": recovered.signs,
    }


def _false_enrichments(federation: Federation, public: object) -> dict[str, float]:
    """Test random genes of the model's own; nothing without pathways."""
    if not isinstance(public, Prior) or not public.membership:
        return {}
    draw, false = np.random.default_rng(SEED), 0
    for _ in range(RANDOM_LISTS):
        tested = []
        for name, of in public.membership.items():
            genes = federation.modality(name).nodes
            top = draw.choice(genes, max(1, round(TOP_GENES * len(genes))), replace=False).tolist()
            inside = of.matrix.to_dense() > 0
            members = {
                pathway: [genes[node] for node in row.nonzero().squeeze(1).tolist()]
                for pathway, row in zip(of.pathways, inside, strict=True)
            }
            tested += over_represented(name, top, genes, members)
        false += bool(enriched(tested))
    return {"random gene lists with an enriched pathway": false / RANDOM_LISTS}


def explain_table(results: Sequence[Faithfulness]) -> str:
    """Write a Markdown table with a column for every task and the aims beside it."""
    first = results[0]
    measures = list(dict.fromkeys(measure for figures in results for measure in figures.figures))
    head = ["measure", *(figures.task for figures in results), "aim"]
    rows = [
        [
            measure,
            *(_said(measure, figures.figures) for figures in results),
            AIMS.get(measure, ""),
        ]
        for measure in measures
    ]
    trainings = "one training" if first.trainings == 1 else f"the mean of {first.trainings} trainings"
    return (
        f"{markdown('l' + 'r' * len(results) + 'l', [head, *rows])}\n\n"
        f"{first.patients} patients, explained by {trainings}. Gap of the contributions' sum as a share of the "
        "difference from the mean patient. Deleted: the number (log cumulative hazard, log-odds or the task's unit) "
        "with the share of values that lower it most set to the mean, minus that with those that raise it most. "
        f"Shuffled: the same network with shuffled weights. {origin(machine(), datetime.now(UTC))}."
    )


def _said(measure: str, figures: Mapping[str, float]) -> str:
    number = figures.get(measure)
    if number is None or np.isnan(number):
        return "-"
    return f"{number:.2%}" if measure in SHARES else f"{number:.3f}"
