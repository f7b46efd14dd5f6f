"""Folder of a simulated federation: a federation file and one site folder per hospital."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from common.errors import MissingFileError, OptionError
from common.lifetime.signals import unwound
from simulations.cohorts.sources import default_data, is_known, write_cohort
from simulations.work_folder import WorkFolder, room_in, temporary_parent

if TYPE_CHECKING:
    import pandas as pd

    from common.agreement.agreement import Agreement


@dataclass(frozen=True)
class Origin:
    """Way to the same cohort again: a folder, or the request that a source was given.

    Attributes:
        cohort: the name of a source's cohort, or an absolute path.
        data: folder of public data, for a source that needs it.
        seed: of folds and of made-up patients.
        hospitals: number of hospitals, where it was asked for.
        patients: patients of each hospital, where a number was asked for.
    """

    cohort: str
    data: str | None = None
    seed: int = 0
    hospitals: int | None = None
    patients: int | None = None


class CohortFolder:
    """A cohort to simulate with; `open_cohort` opens one.

    A folder that was written for this object alone is removed with it: at the end of a `with` block, by `close`, or
    when nothing refers to it any more.

    Attributes:
        name: of the cohort, as results name it.
        folder: holds the federation file and the site folders.
        origin: the way to the same cohort again.
    """

    def __init__(self, name: str, folder: Path, origin: Origin, temporary: WorkFolder | None = None) -> None:
        self.name, self.folder, self.origin = name, folder, origin
        self._remove = None if temporary is None else weakref.finalize(self, temporary.remove)

    def close(self) -> None:
        """Remove a temporary folder; a folder of the user's stays."""
        if self._remove is not None:
            self._remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def federation(self) -> "Agreement":
        """The federation file.

        Raises:
            InputError: if it is missing or not valid.
        """
        from common.agreement.agreement import FILE_NAME
        from common.agreement.loading import load_agreement

        return load_agreement(self.folder / FILE_NAME)

    def table(self) -> "pd.DataFrame":
        """Counts of every hospital, as in its data passport: patients, modalities, outcomes.

        Raises:
            InputError: if a hospital's tables are not valid.
        """
        import pandas as pd

        from client.families.reader import sound
        from client.families.registry import reader_of
        from client.site_folder.site_file import read_site_file
        from common.families.registry import family_of
        from simulations.cohorts.folders import find_sites

        federation = self.federation
        reader = reader_of(federation)
        units = family_of(federation).words(federation).plural
        rows = {}
        for site in find_sites(self.folder):
            holding = sound(reader.read(site, read_site_file(site, federation), federation))
            seen = reader.passport(holding, federation)
            rows[seen["site"]] = {units: len(holding.records)} | _counts(seen)
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("hospital")

    def __repr__(self) -> str:
        """The cohort's name, size and folder."""
        participants = len(self.federation.participants)
        return f"<cohort {self.name}: {participants} hospitals in {self.folder}>"

    def _repr_html_(self) -> str:
        """The table of counts, for a notebook."""
        return str(self.table().to_html())


def _counts(seen: dict[str, object]) -> dict[str, object]:
    """The counts of a passport's modalities and tasks in one row, of a family that has them."""
    row: dict[str, object] = {}
    modalities, tasks = seen.get("modalities", {}), seen.get("tasks", {})
    assert isinstance(modalities, dict)
    assert isinstance(tasks, dict)
    row |= {name: counts["patients"] for name, counts in modalities.items()}
    for task, counts in tasks.items():
        row |= {f"{task}: {what}": count for what, count in counts.items()}
    return row


def open_cohort(
    cohort: str | Path,
    *,
    data: Path | str | None = None,
    seed: int = 0,
    hospitals: int | None = None,
    patients: int | None = None,
    out: Path | str | None = None,
) -> CohortFolder:
    """Open a folder as a cohort, or write a cohort by name.

    Args:
        cohort: the name of a cohort, or a folder that holds a federation file and one site folder per hospital. A text
            that is the name of a cohort is never taken for a folder; a `Path` always is.
        data: folder of the public data; without it, `$CONSILIUM_DATA`.
        seed: of folds where none are published, and of made-up patients.
        hospitals: number of hospitals, for a source that can make any number.
        patients: patients of each hospital, the same.
        out: where to write a cohort by name; without it, a temporary folder that is removed with the object.

    Raises:
        InputError: for an unknown cohort, data that are missing, a size for a cohort that has its own, or an `out`
            that is occupied.
    """
    named = isinstance(cohort, str) and (is_known(cohort) or bool(hospitals or patients))
    folder = Path(cohort)
    if not named and (folder.is_dir() or isinstance(cohort, Path)):
        return _opened(folder, bool(hospitals or patients), out)
    name = str(cohort)
    source = default_data() if data is None else Path(data)
    if out is None:
        target, temporary = _written_aside(name, source, seed, hospitals, patients)
    else:
        target, temporary = Path(out), None
        write_cohort(name, source, target, seed, hospitals, patients)
    source_path = None if source is None else str(source.resolve())
    return CohortFolder(name, target, Origin(name, source_path, seed, hospitals, patients), temporary)


def require_distinct(cohorts: Sequence[str]) -> None:
    """Require that cohorts, by name or folder, have different names in results.

    Raises:
        OptionError: if two have the same, as folders of one name in two places.
    """
    names: dict[str, str] = {}
    for cohort in cohorts:
        name = Path(cohort).resolve().name if Path(cohort).is_dir() and not is_known(cohort) else cohort
        if name in names:
            what = f"is called {name} in results, as {names[name]} is"
            raise OptionError(
                f"--cohorts {cohort}", what, "name it once, or give one of the folders another name"
            )
        names[name] = cohort


def _written_aside(
    name: str, source: Path | None, seed: int, hospitals: int | None, patients: int | None
) -> tuple[Path, WorkFolder]:
    """Write a cohort into a temporary folder; return the cohort's folder and the temporary one."""
    parent = temporary_parent()
    with unwound(), room_in(parent):
        temporary = WorkFolder(parent)
        try:
            write_cohort(name, source, temporary.path / "cohort", seed, hospitals, patients)
        except BaseException:
            temporary.remove()
            raise
    return temporary.path / "cohort", temporary


def _opened(folder: Path, sized: bool, out: Path | str | None) -> CohortFolder:
    from common.agreement.agreement import FILE_NAME

    if sized or out is not None:
        what = "is a folder, whose cohort is as it is"
        raise OptionError(str(folder), what, "leave hospitals, patients and out away, or name a cohort")
    if not (folder / FILE_NAME).is_file():
        raise MissingFileError(
            str(folder), f"holds no {FILE_NAME}", "name a cohort, or a folder that has one"
        )
    return CohortFolder(folder.resolve().name, folder, Origin(str(folder.resolve())))
