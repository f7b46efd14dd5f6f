"""Figures of a hospital's profile: of columns, of follow-up, and of a whole cohort."""

from pydantic import BaseModel, ConfigDict


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bins(_Figures):
    """Counts of values between edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class NumberProfile(_Figures):
    """Values of a numeric column, before any transform.

    Attributes:
        column: name in the federation file.
        label: display name, or the same.
        source: file and column at the hospital.
        unit: by the federation file; empty without one.
        patients: with a value.
        missing: patients of the table without one.
        lowest: least value, as all that follow None where nobody has one.
        low: first quartile.
        high: third quartile.
        outliers: values more than three quartile ranges beyond a quartile.
        plausible: ends of the plausible range; None for an end that is not given.
        outside: values outside the plausible range.
        typical: range in which about two thirds of patients lie; None where the file has none.
        within_typical: share of the values in it.
        bins: histogram of the values.
        doubt: sentence on what may be wrong with the column as a whole; empty without a doubt.
    """

    column: str
    label: str
    source: str
    unit: str = ""
    patients: int
    missing: int
    lowest: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None
    highest: float | None = None
    outliers: int = 0
    plausible: tuple[float | None, float | None] = (None, None)
    outside: int = 0
    typical: tuple[float, float] | None = None
    within_typical: float | None = None
    bins: Bins | None = None
    doubt: str = ""


class LevelProfile(_Figures):
    """Patients by level of a column; `levels` are in the order of the federation file."""

    column: str
    label: str
    source: str
    missing: int
    levels: dict[str, int]


class FollowUpProfile(_Figures):
    """Follow-up and events of a task about times.

    Attributes:
        event: name of the column of events.
        events: patients with an event.
        times: of all patients with a time and an event or none.
        of_events: of those with an event.
    """

    task: str
    label: str
    event: str
    events: int
    times: NumberProfile
    of_events: NumberProfile


class TableProfile(_Figures):
    """Columns of a table.

    Attributes:
        table: name in the federation file.
        label: display name, or the same.
        file: of the hospital; None where it has no such table.
        patients: with a row.
        unmatched: rows whose patient has no outcomes row, which are left out.
    """

    table: str
    label: str
    file: str | None
    patients: int = 0
    unmatched: int = 0
    numbers: tuple[NumberProfile, ...] = ()
    categories: tuple[LevelProfile, ...] = ()


class CohortProfile(_Figures):
    """Profile of a hospital's cohort under a federation file.

    Attributes:
        site: the hospital's name.
        federation: name of the federation.
        digest: of its file.
        approved: whether the hospital has approved that file.
        patients: of the cohort.
        tables: by modality.
        follow_up: by task about times.
        outcomes: label columns of numbers.
        labels: classes of label columns.
        problems: sentences on what keeps the tables from being used.
        warnings: sentences on what may be wrong.
    """

    site: str
    federation: str
    digest: str
    approved: bool
    patients: int
    tables: tuple[TableProfile, ...]
    follow_up: tuple[FollowUpProfile, ...] = ()
    outcomes: tuple[NumberProfile, ...] = ()
    labels: tuple[LevelProfile, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences on columns that may be in another unit."""
        columns = [column for table in self.tables for column in table.numbers]
        columns += [part for task in self.follow_up for part in (task.of_events, task.times)]
        return tuple(dict.fromkeys(column.doubt for column in (*columns, *self.outcomes) if column.doubt))
