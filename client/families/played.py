"""Records of a played site, read from the hospitals' own tables by the hospitals' reader."""

from pathlib import Path

import torch
from torch import Tensor

from client.families.reader import Holding, sound
from client.families.registry import reader_of
from client.site_folder.played_site import PlayedSite, read_played_site
from client.site_folder.site_file import SITE_FILE
from common.agreement.agreement import Agreement
from common.errors import InvalidContentError


def read_played(folder: Path, agreement: Agreement) -> Holding:
    """Read the records of a played site, or of a hospital's own folder.

    Raises:
        InputError: with the first problem of the tables; nothing is returned by half.
    """
    reader, file = reader_of(agreement), read_played_site(folder, agreement)
    if file.parts:
        holdings = [read_played(Path(part), agreement) for part in file.parts]
    else:
        holdings = [sound(reader.read(folder, file, agreement))]
        if file.units is None and file.folds is None:
            return holdings[0]
    units, fold = _kept(file, torch.cat([holding.fold for holding in holdings]), folder)
    return reader.joined(holdings, file, units, fold)


def _kept(file: PlayedSite, fold: Tensor, folder: Path) -> tuple[Tensor, Tensor]:
    """Return ([K] indices of the records that are kept, [K] their folds).

    `fold` has the folds of all records by their tables.
    """
    units = torch.arange(len(fold)) if file.units is None else torch.tensor(file.units, dtype=torch.long)
    folds = None if file.folds is None else torch.tensor(file.folds, dtype=torch.long)
    if (len(units) and int(units.max()) >= len(fold)) or (folds is not None and len(folds) != len(units)):
        what = "has folds of other records than its tables, which have changed since"
        remedy = "leave the tables as they are while they are simulated with, and begin again"
        raise InvalidContentError(str(folder / SITE_FILE), what, remedy)
    return units, fold[units] if folds is None else folds
