"""Pathways with more of the genes that matter to many patients than chance would put there.

Over-representation by the hypergeometric distribution, as gseapy computes it from lists alone, without a network. The
background is the model's own genes: against a genome, any genes of a panel seem to be enriched.
"""

import importlib.util
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.counting import written
from common.errors import InvalidContentError, MissingDependencyError
from common.explanation.agreement import mean_attribution
from common.explanation.path import Attribution
from common.explanation.record import ExplanationRecord
from common.explanation.targets import Explained
from common.models.graphs import Prior
from common.patients.batch import PatientBatch

LEAST_PATIENTS = 10
"""Patients at the least, and those at the least of whom a gene was measured."""

TOP = 0.1
"""Share of a modality's genes that counts as those that matter most."""

FALSE_DISCOVERIES = 0.05
"""Expected share of chance findings among the pathways that are named."""

BY_CONSTRUCTION = (
    "The network reads genes by these pathways, so this says where the model looks for its answer, and is no evidence"
    " of biology."
)
"""Sentence below an enrichment."""


class EnrichedPathway(ExplanationRecord):
    """Pathway with more of the genes that matter most than chance would put there.

    Attributes:
        modality: of the genes.
        pathway: its name.
        genes: of the background that are in it.
        among_top: of these that matter most.
        by_chance: number of them that chance would put there.
        p: probability of as many or more by chance.
        q: the same corrected for all pathways that were tested (Benjamini and Hochberg).
    """

    modality: str
    pathway: str
    genes: int
    among_top: int
    by_chance: float
    p: float
    q: float

    def line(self) -> str:
        """Write the pathway as a line."""
        return (
            f"{self.modality} {self.pathway}: {self.among_top} of its {self.genes} genes, {self.by_chance:.1f} by"
            f" chance (q {self.q:.2g})"
        )


class Enrichment(ExplanationRecord):
    """Enriched pathways behind one number of many patients.

    Attributes:
        task: its name.
        horizon: time by which the risk is explained; None without a time.
        unit: of the horizon or the number.
        patients: that were explained.
        genes: modality -> genes of the background.
        tested: number of pathways.
        pathways: that are enriched, the surest first.
    """

    task: str
    horizon: float | None
    unit: str
    patients: int
    genes: dict[str, int]
    tested: int
    pathways: tuple[EnrichedPathway, ...]

    def lines(self) -> list[str]:
        """Write the enrichment as lines."""
        by = "" if self.horizon is None else f" risk by {written(self.horizon)} {self.unit}"
        genes = ", ".join(f"{count} of {name}" for name, count in self.genes.items())
        lines = [
            f"Pathways with more of the genes that matter most to {self.task}{by} than by chance, over {self.patients}"
            f" patients, {self.tested} pathways and the model's own genes ({genes}):"
        ]
        lines += [f"  {pathway.line()}" for pathway in self.pathways] or ["  none"]
        return [*lines, f"  {BY_CONSTRUCTION}"]


class GeneTally:
    """Sums of the sizes of genes' contributions over patients, by explained number."""

    def __init__(self) -> None:
        self._questions: dict[tuple[str, float | None], Explained] = {}
        self._sizes: dict[tuple[str, float | None], dict[str, Tensor]] = {}
        self._measured: dict[tuple[str, float | None], dict[str, Tensor]] = {}
        self._patients: dict[tuple[str, float | None], int] = defaultdict(int)

    def of(self, patient: PatientBatch) -> Callable[[Sequence[Explained], Sequence[Attribution]], None]:
        """Return what adds the contributions of a patient, the mean over an ensemble's members."""
        return lambda asked, made: self.add(patient, asked[0], mean_attribution(made))

    def add(self, patient: PatientBatch, target: Explained, attribution: Attribution) -> None:
        """Add a patient's contributions to one number."""
        key = target.task, target.horizon
        self._questions.setdefault(key, target)
        self._patients[key] += 1
        sizes = self._sizes.setdefault(key, {n: torch.zeros_like(v) for n, v in attribution.values.items()})
        measured = self._measured.setdefault(key, {n: torch.zeros_like(v) for n, v in sizes.items()})
        for name, values in attribution.values.items():
            sizes[name] += values.abs()
            measured[name] += patient.observed[name][0]

    def enrichments(self, federation: Federation, prior: Prior) -> tuple[Enrichment, ...]:
        """Find the enriched pathways of every number.

        Raises:
            InputError: if there are too few patients, no pathways, or gseapy is not installed.
        """
        fewest = min(self._patients.values(), default=0)
        if fewest < LEAST_PATIENTS:
            what = f"needs {LEAST_PATIENTS} patients, and there are {fewest}"
            raise InvalidContentError("enrichment", what, "give more patients, or leave it out")
        if not prior.membership:
            what = "needs pathways, and the federation file names none"
            raise InvalidContentError("enrichment", what, "leave it out")
        return tuple(self._enrichment(key, federation, prior) for key in self._questions)

    def _enrichment(self, key: tuple[str, float | None], federation: Federation, prior: Prior) -> Enrichment:
        pathways, genes = list[EnrichedPathway](), dict[str, int]()
        for name, of in prior.membership.items():
            measured = self._measured[key][name]
            used = (measured >= LEAST_PATIENTS).nonzero().squeeze(1)
            if not len(used):
                continue
            nodes = federation.modality(name).nodes
            background = [nodes[index] for index in used.tolist()]
            sizes = (self._sizes[key][name] / measured.clamp(min=1))[used]
            top = [background[index] for index in sizes.topk(ceil(TOP * len(background))).indices.tolist()]
            inside = (of.matrix.to_dense() > 0)[:, used]
            members = {
                pathway: [background[index] for index in row.nonzero().squeeze(1).tolist()]
                for pathway, row in zip(of.pathways, inside, strict=True)
            }
            genes[name] = len(background)
            pathways += over_represented(name, top, background, members)
        target = self._questions[key]
        return Enrichment(
            task=target.task,
            horizon=target.horizon,
            unit=target.unit,
            patients=self._patients[key],
            genes=genes,
            tested=len(pathways),
            pathways=tuple(enriched(pathways)),
        )


def over_represented(
    modality: str, top: Sequence[str], background: Sequence[str], pathways: Mapping[str, Sequence[str]]
) -> list[EnrichedPathway]:
    """Test pathways for the genes that matter most; `q` is not corrected yet.

    Args:
        modality: of the genes.
        top: the genes that matter most.
        background: all genes, with those.
        pathways: name -> its genes of the background; those without any are not tested.

    Raises:
        MissingDependencyError: if gseapy is not installed.
    """
    if importlib.util.find_spec("gseapy") is None:
        raise MissingDependencyError("enrichment", "needs gseapy", "pip install 'consilium[explain]'")
    tested = {name: list(genes) for name, genes in pathways.items() if genes}
    hits = {name: len(set(genes) & set(top)) for name, genes in tested.items()}
    chances: dict[str, float] = {}
    if any(hits.values()):  # gseapy fails where there is nothing to find
        import gseapy

        table: Any = gseapy.enrich(
            gene_list=list(top), gene_sets=tested, background=list(background), outdir=None, no_plot=True
        ).results
        chances = dict(zip(table["Term"], table["P-value"].astype(float), strict=True))
    return [
        EnrichedPathway(
            modality=modality,
            pathway=name,
            genes=len(genes),
            among_top=hits[name],
            by_chance=len(genes) * len(top) / len(background),
            p=chances.get(name, 1.0),
            q=1.0,
        )
        for name, genes in tested.items()
    ]


def enriched(tested: Sequence[EnrichedPathway]) -> list[EnrichedPathway]:
    """Return the pathways that chance does not explain, the surest first.

    Benjamini & Hochberg 1995, over the pathways of all modalities.
    """
    from scipy.stats import false_discovery_control

    if not tested:
        return []
    corrected = false_discovery_control([pathway.p for pathway in tested])
    pathways = [
        pathway.model_copy(update={"q": float(q)}) for pathway, q in zip(tested, corrected, strict=True)
    ]
    return sorted(
        (pathway for pathway in pathways if pathway.q <= FALSE_DISCOVERIES), key=lambda pathway: pathway.p
    )
