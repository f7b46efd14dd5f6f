"""Reading and validation of a site folder, with every problem in it."""

from pathlib import Path

from client.data.cohort import Cohort
from client.site_folder.site_file import read_site_file
from common.agreement.federation import Federation
from common.errors import InputError


def read_cohort(folder: Path, federation: Federation) -> Cohort:
    """Read and validate a site folder.

    Raises:
        InputError: with the first problem found; nothing is returned by half.
    """
    cohort, problems = inspect_cohort(folder, federation)
    if problems:
        raise problems[0]
    assert cohort is not None
    return cohort


def inspect_cohort(folder: Path, federation: Federation) -> tuple[Cohort | None, list[InputError]]:
    """Read a site folder with all its problems; None if outcomes cannot be read.

    Raises:
        InputError: if `site.toml` itself is not usable.
    """
    from client.data.reader import read_folder  # brings pandas, which a site opened from its cache is spared

    return read_folder(folder, read_site_file(folder, federation), federation)
