"""Public prior knowledge, cut down to the genes and proteins of one federation."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from common.agreement.prior_graph import PriorGraph, PublicFile
from simulations.cohorts.patients import PRIOR, read_public

SMALLEST_PATHWAY = 8
"""A pathway with fewer measured genes than this says little that its genes do not."""


LARGEST_REACTOME = 200
"""Reactome's pathways of this size and more are whole branches (Metabolism, Signal Transduction): no unit."""


MOST_REACTOME = 150
"""Pathway nodes are what the model attends over: with the 50 hallmarks, 200 keep a step affordable."""


def write_prior(out: Path, source: Path, symbols: Collection[str]) -> PriorGraph:
    """Write `prior/` under `out` from a folder of public graphs; empty without that folder.

    Args:
        out: the federation's folder.
        source: folder with string_v12, gene_pathway and reactome_hierarchy.
        symbols: gene and protein columns of the federation.

    Raises:
        InputError: if the folder is there but lacks a file or a column.
    """
    if not source.is_dir() or not symbols:
        return PriorGraph()
    edges = read_public(source / "string_v12.csv.gz", ("a", "b"), text=("a", "b"))
    edges = edges[edges.a.isin(symbols) & edges.b.isin(symbols)][["a", "b"]]
    columns = ("collection", "pathway_id", "gene")
    pathways = _kept_pathways(read_public(source / "gene_pathway.csv.gz", columns, text=columns), symbols)
    links = read_public(source / "reactome_hierarchy.csv.gz", ("parent", "child"))
    links = links[links.parent.isin(pathways.pathway) & links.child.isin(pathways.pathway)]
    return save_prior(out, edges, pathways, links[["parent", "child"]])


def save_prior(out: Path, edges: pd.DataFrame, pathways: pd.DataFrame, hierarchy: pd.DataFrame) -> PriorGraph:
    """Write the files of `prior/` that have rows, and describe them for the federation file."""
    (out / PRIOR).mkdir(parents=True, exist_ok=True)
    described: dict[str, PublicFile] = {}
    for name, frame in (("edges", edges), ("pathways", pathways), ("hierarchy", hierarchy)):
        if not frame.empty:
            frame.to_csv(out / PRIOR / f"{name}.csv", index=False)
            described[name] = PublicFile.of(out, f"{PRIOR}/{name}.csv")
    return PriorGraph(**described)


def _kept_pathways(members: pd.DataFrame, symbols: Collection[str]) -> pd.DataFrame:
    """Columns `pathway,gene` of hallmarks and of the largest coherent Reactome pathways."""
    members = members[members.collection.isin(["hallmark", "reactome"]) & members.gene.isin(symbols)]
    members = members.drop_duplicates(["collection", "pathway_id", "gene"])
    sizes = members.groupby(["collection", "pathway_id"]).size().rename("genes").reset_index()
    sizes = sizes[sizes.genes >= SMALLEST_PATHWAY]
    reactome = sizes[(sizes.collection == "reactome") & (sizes.genes < LARGEST_REACTOME)]
    largest = reactome.sort_values(["genes", "pathway_id"], ascending=[False, True]).head(MOST_REACTOME)
    kept = {*sizes[sizes.collection == "hallmark"].pathway_id, *largest.pathway_id}
    chosen = members.loc[members.pathway_id.isin(kept), ["pathway_id", "gene"]]
    return chosen.rename(columns={"pathway_id": "pathway"}).sort_values(["pathway", "gene"])
