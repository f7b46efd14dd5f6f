"""Registry of cohort sources by name, which make a federation file and site folders."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common.errors import OptionError, RegistrationError


@dataclass(frozen=True)
class CohortRequest:
    """Parameters of a cohort to write.

    Attributes:
        name: as the cohort was asked for, such as `tcga-brca`.
        data: folder of public data; None for a source that needs none.
        seed: of folds where none are published, and of made-up patients.
        hospitals: number of hospitals; None for the source's usual number.
        patients: patients of each hospital; None for the source's usual number.
    """

    name: str
    data: Path | None = None
    seed: int = 0
    hospitals: int | None = None
    patients: int | None = None

    @property
    def folder(self) -> Path:
        """The folder of public data of a source that needs it."""
        assert self.data is not None
        return self.data


class WriteCohort(Protocol):
    """Function that writes a federation file and one site folder per hospital."""

    def __call__(self, request: CohortRequest, out: Path) -> object:
        """Write the cohort into `out`, an empty or new folder.

        Raises:
            InputError: for data that are missing or have other columns; nothing is written then.
        """


@dataclass(frozen=True)
class CohortSource:
    """A named way to write a cohort.

    Attributes:
        name: of the cohort; for a family of cohorts the form of their names, such as `tcga-CANCER`.
        write: the function that writes it.
        summary: the patients in a few words, for lists.
        needs_data: whether a folder of public data is read.
        is_sizable: whether numbers of hospitals and patients can be asked for.
        pattern: of all names of a family of cohorts; None for a single name.
    """

    name: str
    write: WriteCohort
    summary: str
    needs_data: bool = False
    is_sizable: bool = False
    pattern: re.Pattern[str] | None = None

    def has(self, name: str) -> bool:
        """Return whether a cohort of this name comes from this source."""
        return name == self.name if self.pattern is None else self.pattern.fullmatch(name) is not None


NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"
"""Form of a source's name; a slash would make it a folder's."""


SOURCES: dict[str, CohortSource] = {}
"""All sources by name, in the order of their registration."""


def register_source(
    name: str,
    write: WriteCohort,
    *,
    summary: str,
    needs_data: bool = False,
    is_sizable: bool = False,
    pattern: str | None = None,
) -> CohortSource:
    """Add a cohort source, and return it.

    Args:
        name: of the cohort, or the form of its names.
        write: writes the federation file and the site folders.
        summary: the patients in a few words, for lists.
        needs_data: whether a folder of public data is read.
        is_sizable: whether numbers of hospitals and patients can be asked for.
        pattern: regular expression of all names of a family of cohorts.

    Raises:
        RegistrationError: if the name is taken or has another form, the pattern is no regular expression or fits a
            source's name, or what writes cannot be called.
    """
    where = f"cohort source {name!r}"
    if not re.fullmatch(NAME, name):
        form = "letters, digits, _, . and -, with a letter or digit first"
        raise RegistrationError(where, "has not the form of a name", f"make it of {form}")
    if not callable(write):
        raise RegistrationError(where, "is not written by a function", "give one of a request and a folder")
    try:
        compiled = None if pattern is None else re.compile(pattern)
    except re.error:
        raise RegistrationError(where, "has a pattern that is no regular expression", "correct it") from None
    for source in SOURCES.values():
        if source.has(name) or (compiled is not None and compiled.fullmatch(source.name)):
            raise RegistrationError(
                where, f"has a name that is taken by {source.name}", "choose another name"
            )
    SOURCES[name] = CohortSource(name, write, summary, needs_data, is_sizable, compiled)
    return SOURCES[name]


def sources() -> tuple[CohortSource, ...]:
    """List all cohort sources, in the order of their registration."""
    return tuple(SOURCES.values())


def source_of(name: str) -> CohortSource:
    """The source of the cohort of this name.

    Raises:
        InputError: if there is none.
    """
    for source in SOURCES.values():
        if source.has(name):
            return source
    names = ", ".join(source.name for source in SOURCES.values())
    raise OptionError(f"cohort {name}", "is not known", f"use one of {names}, or a folder")
