"""Site file of a played site, whose tables stay where the hospitals have them."""

from pathlib import Path

import tomli_w

from client.site_folder.policy import Policy
from client.site_folder.site_file import SITE_FILE, SiteFile, require_agreement, site_toml, validated
from common.agreement.agreement import Agreement


class PlayedSite(SiteFile):
    """`site.toml` of a site that a simulation plays.

    A hospital's own process refuses the keys that are added here.

    Attributes:
        origin: the hospital's own folder, whose `site.toml` errors name; empty for a site of several hospitals.
        parts: folders of other played sites, whose records follow one another; there are no tables then.
        units: indices of the records that are kept, in order; None keeps all.
        folds: fold of every kept record, in place of that of the tables; None leaves those.
    """

    origin: str = ""
    parts: tuple[str, ...] = ()
    units: tuple[int, ...] | None = None
    folds: tuple[int, ...] | None = None

    @property
    def has_folds(self) -> bool:
        """Whether records are held out in folds, by the tables or by this file."""
        return self.fold is not None or self.folds is not None

    def write(self, folder: Path) -> Path:
        """Write the file into a folder, made if it is not there, and return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        description = self.model_dump(mode="json", exclude_defaults=True) | {"tables": self.tables}
        (folder / SITE_FILE).write_text(tomli_w.dumps(description), encoding="utf-8")
        return folder


def play(site: Path) -> PlayedSite:
    """Return the file by which the tables of a site folder are read from elsewhere.

    The folder is a hospital's own, or played. Policy and approval are left out: a simulation asks nobody for leave.

    Raises:
        InputError: if `site.toml` cannot be read or breaks the schema.
    """
    file = validated(site_toml(site), PlayedSite)
    tables = {table: str(site.resolve() / path) for table, path in file.tables.items()}
    origin = file.origin or ("" if file.parts else str(site))
    update = {"tables": tables, "policy": Policy(), "approved": None, "origin": origin}
    return file.model_copy(update=update)


def read_played_site(folder: Path, agreement: Agreement) -> PlayedSite:
    """Read the file of a played site, checked against the agreement.

    Raises:
        InputError: as `client.site_folder.site_file.read_site_file`.
    """
    file = validated(site_toml(folder), PlayedSite)
    shown = site_toml(Path(file.origin)) if file.origin else site_toml(folder)
    require_agreement(file, shown, agreement, needs_tables=not file.parts)
    return file
