"""Checks of public files: their form, and whether they name columns of the federation."""

import csv
from collections.abc import Iterator
from pathlib import Path

from common.agreed import Problem
from common.agreement.federation import Federation
from common.agreement.prior_graph import PublicFile

HEADS = {"edges": ("a", "b"), "pathways": ("pathway", "gene"), "hierarchy": ("parent", "child")}
"""Columns of the public files."""


def malformed(agreement: Federation, folder: Path) -> Iterator[Problem]:
    """Public files that cannot be read as pairs."""
    for key, file in _files(agreement):
        try:
            rows = _pairs(folder, file)
        except (csv.Error, UnicodeDecodeError):
            what = f"{file.path} is no CSV in UTF-8"
            yield Problem(("prior", key), what, f"save it with the columns {' and '.join(HEADS[key])}")
            continue
        if any(len(row) < 2 for row in rows) or not rows:
            what = f"{file.path} has not two columns in every row"
            yield Problem(("prior", key), what, f"give it the columns {' and '.join(HEADS[key])}")


def idle(agreement: Federation, folder: Path) -> Iterator[Problem]:
    """Public files that name nothing of this federation, and so change nothing."""
    joined = {name for part in agreement.modalities if part.node_kind.edges == "prior" for name in part.nodes}
    pooled = {name for part in agreement.modalities if part.node_kind.has_pathways for name in part.nodes}
    ends = {"edges": (joined, slice(0, 2)), "pathways": (pooled, slice(1, 2))}
    for key, file in _files(agreement):
        if key in ends:
            names, cells = ends[key]
            rows = _pairs(folder, file)[1:]
            if not any(names.issuperset(row[cells]) for row in rows):
                what = f"{file.path} names no column of a modality of genes or proteins, and changes nothing"
                yield Problem(
                    ("prior", key), what, "use the symbols that the columns have, or remove the file"
                )


def _files(agreement: Federation) -> Iterator[tuple[str, PublicFile]]:
    for key in HEADS:
        file = getattr(agreement.prior, key)
        if file is not None:
            yield key, file


def _pairs(folder: Path, file: PublicFile) -> list[list[str]]:
    with (folder / file.path).open(encoding="utf-8", newline="") as stream:
        return [row for row in csv.reader(stream) if row]
