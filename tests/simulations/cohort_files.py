"""The files of a cohort, as a test reads or changes them."""

from pathlib import Path

from client.site_folder.site_file import SITE_FILE


def contents(folder: Path) -> dict[str, bytes]:
    """Path below the folder -> content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def without_folds(cohort: Path) -> None:
    """Take the published folds out of every site file."""
    for site in cohort.glob(f"*/{SITE_FILE}"):
        site.write_text(site.read_text().replace('fold = "fold"\n', ""))
