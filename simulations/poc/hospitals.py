"""Site folders of a proof of concept: merged hospitals or copies of a user's own."""

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from posixpath import normpath

import pandas as pd
import tomli_w

from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.agreement.agreement import PATIENTS, Agreement, save
from common.agreement.federation import FILE_NAME, OUTCOMES
from common.agreement.folder import copy_agreement
from common.agreement.settings import Participant
from common.errors import MissingFileError, OptionError
from simulations.cohorts.cohort_folder import CohortFolder
from simulations.cohorts.folders import find_sites, write_site

AGREEMENT, COORDINATOR, STATE, OUTPUT = "federation", "coordinator", "state", "output"
"""Folders beside the site folders: agreement to send, coordinator's home, ledgers' heads, output of the commands."""


USUAL_HOSPITALS, USUAL_ROUNDS = 3, 4
"""Rounds of a cohort by name: two cores train them in about two minutes."""


POLICY = """
# What this hospital allows; `consilium site init` writes stricter limits into a site.toml that it begins.
[policy]
privacy = "allowed"              # with differential privacy and without
maximum_linear_rounds = {linear}        # exact gradients: this machine's coordinator may see them
maximum_runs = 10                # runs per approval, to go on by hand
"""


@dataclass(frozen=True)
class PlacedHospital:
    """A hospital of the federation.

    Attributes:
        name: as in the federation file.
        folder: name of its site folder.
        merged: names of the cohort's hospitals in it; empty where it is one of them.
        patients: that it has; None where its tables were copied as they are.
    """

    name: str
    folder: str
    merged: tuple[str, ...] = ()
    patients: int | None = None


@dataclass(frozen=True)
class FederationLayout:
    """Hospitals and agreement, written and ready for the commands.

    Attributes:
        agreement: the federation file, in the folder `AGREEMENT`.
        hospitals: in order.
        notes: sentences about differences from the cohort.
    """

    agreement: Agreement
    hospitals: tuple[PlacedHospital, ...]
    notes: tuple[str, ...]


def lay_out(
    cohort: CohortFolder, folder: Path, named: bool, hospitals: int | None, rounds: int | None
) -> FederationLayout:
    """Write the agreement and the site folders of a federation into a folder.

    Args:
        cohort: whose hospitals they are.
        folder: to write into.
        named: whether a cohort by name was written for this; a user's own folder is copied.
        hospitals: number of hospitals; None for the usual number of a named cohort, and all of a folder.
        rounds: of training; None for the usual number of a named cohort, and that of a folder's own file.

    Raises:
        InputError: for a cohort that cannot be read, or a number of hospitals that it has not.
    """
    agreement, sites = (
        copy_agreement(cohort.folder / FILE_NAME, folder / AGREEMENT),
        find_sites(cohort.folder),
    )
    wanted = hospitals or (min(USUAL_HOSPITALS, len(sites)) if named else len(sites))
    if wanted > len(sites):
        what = f"is more than the {len(sites)} hospitals of {cohort.name}"
        raise OptionError(f"--hospitals {wanted}", what, f"give a number from 1 to {len(sites)}")
    if rounds is None and named:
        rounds = min(USUAL_ROUNDS, agreement.training.rounds)
    if named and agreement.kind == PATIENTS:
        placed, note = _merge(sites, wanted, folder), f"merged into {wanted}"
    else:
        placed, note = [_copy(site, folder) for site in sites[:wanted]], f"cut down to the first {wanted}"
    changed = agreement
    if rounds is not None:
        linear = {"training.linear_rounds": str(rounds // 2)} if named else {}
        changed = agreement.changed({"training.rounds": str(rounds), **linear})
    if named or wanted < len(sites):
        changed = changed.model_copy(update={"participants": _participants(changed, placed)})
    if changed != agreement:
        save(changed, folder / AGREEMENT / FILE_NAME)
    if named:
        for hospital in placed:
            with (folder / hospital.folder / SITE_FILE).open("a", encoding="utf-8") as file:
                file.write(POLICY.format(linear=changed.linear_rounds))
    notes = (f"The {len(sites)} hospitals of {cohort.name} are {note}.",) if wanted < len(sites) else ()
    return FederationLayout(changed, tuple(placed), notes)


def _participants(agreement: Agreement, hospitals: Sequence[PlacedHospital]) -> tuple[Participant, ...]:
    """Participants of a file, of which one that was not merged stays as it is there."""
    before = {participant.name: participant for participant in agreement.participants}
    return tuple(
        before[hospital.name]
        if not hospital.merged and hospital.name in before
        else Participant(name=hospital.name, patients=hospital.patients)
        for hospital in hospitals
    )


def _merge(sites: Sequence[Path], hospitals: int, folder: Path) -> list[PlacedHospital]:
    """Write so many site folders with the patients of all sites, as many in each as can be."""
    frames = {site: _tables(site) for site in sites}
    groups: list[list[Path]] = [[] for _ in range(hospitals)]
    for site in sorted(sites, key=lambda site: (-len(frames[site][OUTCOMES]), site.name)):
        min(groups, key=lambda group: sum(len(frames[member][OUTCOMES]) for member in group)).append(site)
    merged = []
    for number, group in enumerate(groups, start=1):
        names = tuple(parse_site_file(site).name for site in sorted(group))
        parts = [frames[site] for site in sorted(group)]
        if len(names) > 1 and len({patient for part in parts for patient in part[OUTCOMES].index}) < sum(
            len(part[OUTCOMES]) for part in parts
        ):
            parts = [_numbered(part, site) for site, part in enumerate(parts, start=1)]
        tables = {
            name: pd.concat([part[name] for part in parts if name in part])
            for name in dict.fromkeys(name for part in parts for name in part)
        }
        outcomes = tables.pop(OUTCOMES)
        single = len(names) == 1
        hospital = PlacedHospital(
            names[0] if single else f"hospital {number}",
            f"hospital-{number}",
            () if single else names,
            len(outcomes),
        )
        write_site(folder / hospital.folder, hospital.name, outcomes, tables)
        merged.append(hospital)
    return merged


def _tables(site: Path) -> dict[str, pd.DataFrame]:
    """Tables of a site by a cohort source, indexed by patient, cells of CSV as text."""
    file = parse_site_file(site)
    frames = {}
    for name, path in file.tables.items():
        if path.endswith(".parquet"):
            frame = pd.read_parquet(site / path).set_index(file.id)
        else:
            frame = pd.read_csv(site / path, dtype=str, keep_default_na=False).set_index(file.id)
        frames[name] = frame
    simulated = [column for column in (file.fold, file.group) if column is not None]
    frames[OUTCOMES] = frames[OUTCOMES].drop(columns=simulated)
    return frames


def _numbered(tables: dict[str, pd.DataFrame], site: int) -> dict[str, pd.DataFrame]:
    """Tables whose patients' identifiers begin with the number of their site."""
    return {
        name: frame.set_axis(frame.index.map(lambda id_: f"{site}-{id_}")) for name, frame in tables.items()
    }


def _copy(site: Path, folder: Path) -> PlacedHospital:
    """Copy the site.toml and the tables of a user's site folder.

    Keys, ledger and receipts stay there. Folds are left out, which are for simulations, and the approval, which is
    asked for anew.
    """
    file = parse_site_file(site)
    name = site.name
    while name in (AGREEMENT, COORDINATOR, STATE, OUTPUT):
        name += "-2"
    target = folder / name
    target.mkdir(0o750)
    tables: dict[str, str] = {}
    for table, path in file.tables.items():
        source = site / path
        if not source.is_file():
            raise MissingFileError(
                str(source), f"the table {table} is not there", f"correct {site / SITE_FILE}"
            )
        inside = not PurePath(path).is_absolute() and not normpath(path).startswith("..")
        copied = Path(normpath(path)) if inside else Path(f"{table}-{source.name}")
        (target / copied).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / copied)
        tables[table] = copied.as_posix()
    description = tomllib.loads((site / SITE_FILE).read_text(encoding="utf-8-sig"))
    description = {key: value for key, value in description.items() if key not in ("fold", "approved")}
    (target / SITE_FILE).write_text(tomli_w.dumps(description | {"tables": tables}), encoding="utf-8")
    return PlacedHospital(file.name, name)
