"""Patients at a hospital: reading of tables, data passport, and words of the approval."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from client.data.cohort import Cohort, passport
from client.data.packing import pack_site, unpack_site
from client.families.noised_statistics import noised_statistics
from client.families.reader import Reader
from client.families.wording import listed, shown
from client.privacy.randomness import SecretRandom
from client.site_folder.site_file import SiteFile
from common.agreement.federation import OUTCOMES, Federation
from common.agreement.modalities import Modality
from common.errors import InputError
from common.messages.statistics import SiteStatistics
from common.models.graphs import Prior
from common.patients.batch import PatientBatch

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

    def noised_statistics(
        self, records: PatientBatch, agreement: Federation, noise_multiplier: float, secret: SecretRandom
    ) -> SiteStatistics:
        """Noised moments over patients."""
        return noised_statistics(records, agreement, noise_multiplier, secret)

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


def _columns(modality: Modality, file: Path) -> Iterator[str]:
    """The columns that are read: all of them, or the first and where the others are named."""
    levels = {column: f" ({len(names)} levels)" for column, names in modality.categories.items()}
    names = [shown(name) + levels.get(name, "") for name in (*modality.columns, *modality.categories)]
    yield from listed("columns", names[:SHOWN])
    if (more := len(names) - SHOWN) > 0:
        yield f"      and {more:,} more of {len(names):,}, all of them named in {file}"


READER: Reader[Federation, Cohort, PatientBatch, Prior] = PatientReader()
