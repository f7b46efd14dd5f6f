"""Patients at a hospital: reading of tables, data passport, and words of the approval."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from client.data.cohort import Cohort, passport
from client.data.packing import pack_site, unpack_site
from client.families.cells import Cells
from client.families.noised_statistics import bounded_sums
from client.families.reader import Reader
from client.families.wording import listed, shown
from client.site_folder.site_file import SiteFile
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.errors import InputError
from common.models.graphs import Prior
from common.models.parameter_groups import ModelGroups
from common.patients.batch import PatientBatch
from common.patients.declared_sums import Array, moments_name, tasks_with_moments

SHOWN = 40
"""Columns of a modality that are named one by one."""


class PatientReader:
    """Patients as a hospital's family; see `client.families.reader.Reader`."""

    def read(
        self, folder: Path, site: SiteFile, agreement: Federation
    ) -> tuple[Cohort | None, list[InputError]]:
        """Read outcomes and modalities; the cohort is None if outcomes cannot be read."""
        from client.data.reader import (
            read_folder,  # brings pandas, which a site opened from its cache is spared
        )

        return read_folder(folder, site, agreement)

    def absent(self, holding: Cohort, agreement: Federation) -> frozenset[str]:
        """Modalities without a table."""
        return frozenset(modality.name for modality in agreement.modalities) - set(holding.unmatched)

    def bounded_sums(self, records: PatientBatch, agreement: Federation) -> Array:
        """Sums over patients of values scaled by their ends."""
        return bounded_sums(records, agreement)

    def cells(self, records: PatientBatch, agreement: Federation, groups: ModelGroups) -> Sequence[Cells]:
        """Moments of nodes and tasks, patients of the averaging groups, and labels."""
        cells = []
        for modality in agreement.modalities:
            if modality.scale != "none":
                seen, values = records.observed[modality.name], records.values[modality.name]
                cells.append(_cells(f"modality:{modality.name}", modality.name, modality.nodes, seen, values))
        for task in tasks_with_moments(agreement):
            values, seen = task.moment_values(records.labels[task.name], records.labelled[task.name])
            names = map(str, range(task.moment_columns))
            cells.append(_cells(moments_name(task), f"moments of {task.name}", names, seen, values * seen))
        for task in agreement.tasks:
            seen, values = records.labelled[task.name], records.labels[task.name]
            cells.append(_cells("", f"labels of {task.name}", task.columns, seen, values))
        members = groups.patients_in(records)
        for group, seen in members.items():
            cells.append(_cells("", "patients", [group.name], seen[:, None], torch.zeros(len(records), 1)))
        return cells

    def pack(self, public: Prior, holding: Cohort) -> dict[str, Tensor]:
        """Graphs and patients, without subgroups."""
        return pack_site(public, holding)

    def unpack(
        self, tensors: dict[str, Tensor], site: SiteFile, agreement: Federation
    ) -> tuple[Prior, Cohort]:
        """The inverse of `pack`."""
        return unpack_site(tensors, site, agreement)

    def passport(self, holding: Cohort, agreement: Federation) -> dict[str, Any]:
        """Patients, labels by task, and missing cells by modality."""
        return passport(holding, agreement)

    def passport_lines(self, passport: dict[str, Any]) -> list[str]:
        """A line for the cohort, and for every modality and task."""
        lines = [f"{passport['site']}: {passport['patients']:,} patients"]
        for name, part in passport["modalities"].items():
            line = f"  {name}: {part['patients']:,} patients"
            if part["patients"]:
                line += f", {part['missing']:.0%} of their cells missing"
            if part["unmatched"]:
                line += f"; {part['unmatched']:,} rows without outcomes are left out"
            lines.append(line)
        for name, counts in passport["tasks"].items():
            lines.append(f"  {name}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))
        return lines

    def said(self, agreement: Federation, file: Path) -> Iterator[str]:
        """Columns of every modality and task."""
        for modality in agreement.modalities:
            yield f"  - {modality.name}: {len(modality.nodes)} values per patient ({modality.node})"
            yield from _columns(modality, file)
        yield f"  - a model for {', '.join(task.name for task in agreement.tasks)}"
        for task in agreement.tasks:
            yield from listed(f"{task.name}, columns of {OUTCOMES}", map(shown, task.columns))


def _cells(sums: str, of: str, names: Iterable[str], seen: Tensor, values: Tensor) -> Cells:
    return Cells(sums, tuple(f"{of}: {name}" for name in names), seen.numpy(), values.double().numpy())


def _columns(modality: Modality, file: Path) -> Iterator[str]:
    """The columns that are read: all of them, or the first and where the others are named."""
    levels = {column: f" ({len(names)} levels)" for column, names in modality.categories.items()}
    names = [shown(name) + levels.get(name, "") for name in (*modality.columns, *modality.categories)]
    yield from listed("columns", names[:SHOWN])
    if (more := len(names) - SHOWN) > 0:
        yield f"      and {more:,} more of {len(names):,}, all of them named in {file}"


READER: Reader[Federation, Cohort, PatientBatch, Prior] = PatientReader()
