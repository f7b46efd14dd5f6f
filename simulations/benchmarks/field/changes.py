"""Changes of a cohort's federation file, prior graph or column names, for a row of a table."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from client.site_folder.played_site import play
from client.tables.table_file import is_parquet
from common.agreement.agreement import FILE_NAME, save
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.folder import copy_public_files
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.prior_graph import PriorGraph, PublicFile
from simulations.benchmarks.field.shuffled_edges import Edge, shuffled
from simulations.experiment.arms import AgreementFile


class LeftOut(Exception):
    """A row that does not apply to a cohort, with the reason."""


@dataclass(frozen=True)
class Changed:
    """A cohort's federation after a change.

    Attributes:
        federation: the changed agreement.
        edges: edges in place of those of the prior graph; None keeps them.
        values: modality -> column -> column whose values it gets, where that is another one.
        labels: makes other labels [T, columns] of a hospital's training patients; None keeps them.
    """

    federation: Federation
    edges: list[Edge] | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labels: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    def write(self, public: Path, folder: Path) -> AgreementFile:
        """Write the federation file into `folder`, with public files as in `public` or changed."""
        copy_public_files(self.federation, public, folder)
        federation, prior = self.federation, self.federation.prior
        if self.edges is not None and prior.edges is not None:
            pd.DataFrame(self.edges, columns=["a", "b"]).to_csv(folder / prior.edges.path, index=False)
            described = PublicFile.of(folder, prior.edges.path)
            federation = _with(federation, prior=prior.model_copy(update={"edges": described}))
        save(federation, folder / FILE_NAME)
        return AgreementFile(federation, folder / FILE_NAME)

    def site(self, site: Path, folder: Path, fold: int | None = None) -> Path:
        """Make `folder` a twin of a site folder under the changed federation.

        Labels are changed for a run that holds out a `fold`, of all other patients.
        """
        file, asked = play(site), self.federation.tables
        tables = {table: path for table, path in file.tables.items() if table in asked}
        columns = {
            table: {ours: theirs for ours, theirs in renamed.items() if ours in asked[table]}
            for table, renamed in file.columns.items()
            if table in asked
        }
        for table, values in self.values.items():
            renamed = columns.get(table, {})
            columns[table] = renamed | {
                column: renamed.get(source, source) for column, source in values.items()
            }
        if self.labels is not None and fold is not None:
            renamed = columns.get(OUTCOMES, {})
            names = [renamed.get(column, column) for column in sorted(asked[OUTCOMES])]
            labels = read_table(tables[OUTCOMES])
            held = pd.Series(file.folds, index=labels.index) if file.folds else labels[file.fold]
            training = pd.to_numeric(held) != fold
            labels.loc[training, names] = self.labels(labels.loc[training, names]).to_numpy()
            tables[OUTCOMES] = write_table(labels, folder / Path(tables[OUTCOMES]).name)
        update = {"tables": tables, "columns": columns, "origin": ""}
        return file.model_copy(update=update).write(folder)


def read_table(path: str) -> pd.DataFrame:
    """Read a hospital's table to write it again.

    Cells of a CSV stay text, and those of a Parquet file what they are.
    """
    if is_parquet(Path(path)):
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def write_table(table: pd.DataFrame, path: Path) -> str:
    """Write a table that `read_table` has read, in the same format, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return str(path)


Change = Callable[[Federation, Path, int], Changed]
"""Change of a federation, whose public files are in a folder, by a seed."""


def unchanged(federation: Federation, public: Path, seed: int) -> Changed:
    """Leave the federation as it is."""
    return Changed(federation)


def only_nodes(kinds: Collection[str]) -> Change:
    """Keep the modalities whose nodes are of these kinds."""

    def change(federation: Federation, public: Path, seed: int) -> Changed:
        return Changed(_with(federation, modalities=modalities_of(federation, kinds)))

    return change


def modalities_of(federation: Federation, kinds: Collection[str]) -> tuple[Modality, ...]:
    """Return the modalities whose nodes are of these kinds."""
    return tuple(modality for modality in federation.modalities if modality.node in kinds)


def only_task(name: str) -> Change:
    """Keep one task."""

    def change(federation: Federation, public: Path, seed: int) -> Changed:
        return Changed(_with(federation, tasks=tuple(task for task in federation.tasks if task.name == name)))

    return change


def with_model(**settings: object) -> Change:
    """Set settings of the model, and name no layers between nodes in their order."""

    def change(federation: Federation, public: Path, seed: int) -> Changed:
        model = HierarchicalConfig.of(federation.model)
        kept = {name: value for name, value in model.model_dump().items() if name != "layers"}
        between = {"gcn_layers": model.gcn_layers, "gat_layers": model.gat_layers}
        return Changed(_with(federation, model=HierarchicalConfig.model_validate(between | kept | settings)))

    return change


def without_linear_rounds(federation: Federation, public: Path, seed: int) -> Changed:
    """Train the network and its linear scores together from the first round on."""
    return Changed(_with(federation, training=federation.training.model_copy(update={"linear_rounds": 0})))


def without_knowledge(federation: Federation, public: Path, seed: int) -> Changed:
    """Remove edges, pathways and hierarchy of the prior graph."""
    require_edges(federation)
    return Changed(_with(federation, prior=PriorGraph()))


def with_shuffled_edges(federation: Federation, public: Path, seed: int) -> Changed:
    """Shuffle the edges of the prior graph; every node of a modality keeps its degree."""
    file = require_edges(federation)
    table = pd.read_csv(public / file.path, dtype=str, keep_default_na=False)
    edges = list(zip(table.iloc[:, 0], table.iloc[:, 1], strict=True))
    kinds: dict[str, frozenset[str]] = {}
    for modality in _joined_by_prior(federation):
        for node in modality.nodes:
            kinds[node] = kinds.get(node, frozenset()) | {modality.name}
    return Changed(federation, shuffled(edges, kinds, np.random.default_rng(seed)))


def with_permuted_values(federation: Federation, public: Path, seed: int) -> Changed:
    """Give nodes of the prior graph the values of other ones, the same for all patients."""
    require_edges(federation)
    rng = np.random.default_rng(seed)
    values = {}
    for modality in _joined_by_prior(federation):
        sources = rng.permutation(np.array(modality.columns, dtype=object)).tolist()
        values[modality.name] = dict(zip(modality.columns, sources, strict=True))
    return Changed(federation, values=values)


def with_label_noise(share: float) -> Change:
    """Exchange the labels of a share of every hospital's training patients among these patients."""

    def change(federation: Federation, public: Path, seed: int) -> Changed:
        def exchanged(labels: pd.DataFrame) -> pd.DataFrame:
            rng = np.random.default_rng(seed)
            rows = np.flatnonzero(rng.random(len(labels)) < share)
            order = np.arange(len(labels))
            order[rows] = rng.permutation(rows)
            return labels.iloc[order]

        return Changed(federation, labels=exchanged)

    return change


def with_fewer_labels(share: float) -> Change:
    """Keep the labels of a share of every hospital's training patients."""

    def change(federation: Federation, public: Path, seed: int) -> Changed:
        def kept(labels: pd.DataFrame) -> pd.DataFrame:
            gone = np.random.default_rng(seed).random(len(labels)) >= share
            fewer = labels.copy()
            fewer.loc[gone] = np.nan
            return fewer

        return Changed(federation, labels=kept)

    return change


def _joined_by_prior(federation: Federation) -> list[Modality]:
    return [modality for modality in federation.modalities if modality.node_kind.edges == "prior"]


def require_edges(federation: Federation) -> PublicFile:
    """Return the file of edges.

    Raises:
        LeftOut: if there is none, or no modality has nodes of it.
    """
    if federation.prior.edges is None or not _joined_by_prior(federation):
        raise LeftOut("no modality is joined by a prior graph")
    return federation.prior.edges


def _with(federation: Federation, **parts: object) -> Federation:
    return federation.model_copy(update=parts)
