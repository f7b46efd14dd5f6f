"""Names under which the tables of other patients are found in a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from client.site_folder.site_file import SiteFile

_SUFFIXES = (".csv", ".parquet", ".xlsx")


def file_names(site: SiteFile, table: str) -> list[str]:
    """Paths that a table may have in a folder, the likeliest first.

    Never one outside of it: a site file may name its tables anywhere, and those are of other patients.
    """
    named = [Path(site.tables[table])] if table in site.tables else []
    inside = [str(path) for path in named if not path.is_absolute() and ".." not in path.parts]
    bare = [path.name for path in named]
    return list(dict.fromkeys([*inside, *bare, *(table + suffix for suffix in _SUFFIXES)]))


def tables_in(folder: Path, names: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Find tables in a folder: name of a table -> its file, of those that are there."""
    files = {
        table: [folder / name for name in candidates if (folder / name).is_file()]
        for table, candidates in names.items()
    }
    return {table: paths[0] for table, paths in files.items() if paths}
