"""Records of a hospital on which a release is judged: none of them trained it."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

import torch

from client.families.reader import Holding, sound
from client.families.registry import reader_of
from client.prediction.predictor import predictor_of
from client.prediction.table_files import file_names, tables_in
from client.rounds.split import split
from client.site_folder.places import Home
from client.site_folder.site_file import SiteFile, read_site_file
from common.assessment.part import Whose
from common.counting import counted
from common.errors import MissingFileError, OptionError, StateError
from common.prediction.network import Network
from common.records import Records
from common.release.release import ModelRelease


class Setting(StrEnum):
    """Kind of a validation."""

    INTERNAL = "internal"
    """Records of a hospital that had a part in the run, held out from its training by a draw."""
    TEST = "test"
    """Records of such a hospital that neither trained nor helped to choose or to calibrate the model."""
    NEW = "new records"
    """Records that such a hospital did not have in its tables."""
    TEMPORAL = "temporal"
    """Those from a date on."""
    EXTERNAL = "external"
    """Records of a hospital that had no part in the run."""


@dataclass(frozen=True)
class JudgedRecords:
    """Records on which a release is judged.

    Attributes:
        setting: kind of validation.
        whose: words for the records.
        records: the records.
        network: the model that did not train on them; of an ensemble, its first member where the others may have.
        hospital: name of the hospital.
    """

    setting: Setting
    whose: str
    records: Records
    network: Network
    hospital: str


def judged_records(
    home: Home, release: ModelRelease, network: Network, tables: Path | None = None, since: date | None = None
) -> JudgedRecords:
    """Choose records of a hospital that did not train a release.

    Args:
        home: the site folder.
        release: the release.
        network: its network.
        tables: folder with tables of other records than the site folder's, with the same names and columns.
        since: first day of the records, by the site file's column of dates.

    Raises:
        InputError: if the tables cannot be read, or no record is left.
    """
    agreement, words = release.agreement, release.card.unit
    site = read_site_file(home.folder, agreement)
    took_part = site.name in release.card.hospitals
    file, reader = site, reader_of(agreement)
    if tables is not None:
        file = _elsewhere(site, tables)
        agreement = agreement.model_copy(update={"minimum_patients": 1})  # which is for those who train
    holding = sound(reader.read(home.folder, file, agreement))
    rows = torch.ones(len(holding.records), dtype=torch.bool)
    setting, whose = Setting.EXTERNAL, f"{words} of a hospital without a part in the run"
    if took_part and tables is not None:
        ours = sound(reader.read(home.folder, site, release.agreement))
        rows = _strangers(holding, ours)
        setting, whose = Setting.NEW, f"{words} who are not in the tables of the site folder"
    elif took_part:
        setting, rows, network, whose = _held_out(home, release, network, rows)
    if since is not None and bool(rows.any()):
        rows &= torch.from_numpy(predictor_of(agreement).since(home.folder, file, since))
        whose += f", from {since} on"
        setting = Setting.TEMPORAL if setting is Setting.NEW else setting
        if not bool(rows.any()):
            what = f"leaves none of the {words} who did not train the release"
            raise OptionError(f"--since {since}", what, "name an earlier day")
    if not bool(rows.any()):
        what = f"has no {words} left to judge the release by"
        raise StateError(str(tables or home.folder), what, f"give tables of {words} who did not train it")
    return JudgedRecords(
        setting, whose, holding.records.select(rows.nonzero().squeeze(1)), network, site.name
    )


def _held_out(
    home: Home, release: ModelRelease, network: Network, everyone: torch.Tensor
) -> tuple[Setting, torch.Tensor, Network, str]:
    """Choose the records that the run held out at a hospital with a part in it."""
    agreement, words = release.agreement, release.card.unit
    if agreement.privacy is not None:
        what = f"all of its {words} trained the model, as is usual with differential privacy"
        raise StateError(str(home.folder), what, f"give tables of {words} who came after the run")
    rows = torch.zeros_like(everyone)
    setting = Setting.TEST if agreement.training.test_fraction else Setting.INTERNAL
    if setting is Setting.TEST:
        rows[split(len(everyone), agreement.training).of(Whose.TEST)] = True
        whose = f"test {words}, who had no part in it if the tables are as they were in the run, and may have otherwise"
    else:
        rows[split(len(everyone), agreement.training).of(Whose.HELD_OUT)] = True
        whose = (
            f"validation {words}, who did not train it but helped to choose the round if the tables are as they were in"
            " the run, and otherwise may have trained it"
        )
    if network.others:
        network = replace(network, others=())  # they had other validation records, and trained on these
        trainings = counted(release.models, "training")
        kind, _, rest = whose.partition(", ")
        whose = f"{kind} of the first of {trainings} alone, {rest}"
    return setting, rows, network, whose


def _elsewhere(site: SiteFile, folder: Path) -> SiteFile:
    """Return the site file with the tables of a folder."""
    if not folder.is_dir():
        raise MissingFileError(str(folder), "there is no such folder", "name the folder of the tables")
    files = tables_in(folder.resolve(), {table: file_names(site, table) for table in site.tables})
    if missing := [table for table in site.tables if table not in files]:
        what = f"has no table of {missing[0]}"
        raise MissingFileError(str(folder), what, f"name it {file_names(site, missing[0])[0]}")
    return site.model_copy(update={"tables": {table: str(path) for table, path in files.items()}})


def _strangers(holding: Holding, ours: Holding) -> torch.Tensor:
    """Return whether each record is in no other holding of the site, by its mark."""
    marks = {bytes(mark) for mark in ours.marks.numpy()}
    return torch.tensor([bytes(mark) not in marks for mark in holding.marks.numpy()], dtype=torch.bool)
