"""Genes planted in the synthetic cohort, and their recovery by explanations."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from simulations.benchmarks.explaining.measures import Array, area
from simulations.cohorts.synthetic import coefficients, pathways_of

COHORT = "synthetic"

MODALITY = "rna"


@dataclass(frozen=True)
class Recovery:
    """Recovery of the planted genes by explanations.

    Attributes:
        genes: that the hazard depends on, by themselves or through their pathway.
        area: under the ROC curve, by which the size of contributions tells them from the others.
        direct: the same of those that it depends on by themselves, from those that it does not depend on.
        signs: share of them whose contributions rise with the gene where the hazard does, and fall where it falls.
    """

    genes: int
    area: float
    direct: float
    signs: float


def planted_signs(genes: int) -> tuple[Array, NDArray[np.bool_]]:
    """Return the sign of every gene's part in the hazard, and whether it is there by itself."""
    pathway_of = pathways_of(genes)
    _, of_pathways, of_genes = coefficients(1, int(pathway_of[-1]) + 1, genes)
    direct = of_genes != 0
    return np.sign(np.where(direct, of_genes, of_pathways[pathway_of])), direct


def recovery(federation: Federation, sizes: Array, slopes: Array) -> Recovery:
    """Compare explanations with the planted genes.

    Args:
        federation: of the synthetic cohort.
        sizes: [genes], mean size of a gene's contribution to the log cumulative hazard.
        slopes: [genes], sum over patients of contribution times standardised value.
    """
    signs, direct = planted_signs(len(federation.modality(MODALITY).columns))
    planted = signs != 0
    clear = direct | ~planted
    return Recovery(
        genes=int(planted.sum()),
        area=area(planted, sizes),
        direct=area(direct[clear], sizes[clear]),
        signs=float((np.sign(slopes[planted]) == signs[planted]).mean()),
    )
