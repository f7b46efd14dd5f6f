"""Display names of a federation file: words for people beside the names that tables have."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from common.agreed import Agreed

LONGEST_LABEL = 80
"""Characters of a display name, which has to fit a row of a table."""

Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]

Labels = dict[str, Label]


class DisplayNames(Agreed):
    """Words by which pages and tables call what the file names.

    Nothing is read, computed or sent by them.

    Attributes:
        modalities: modality -> label.
        tasks: task -> label.
        columns: modality -> column -> label; the table of outcomes is `outcomes`.
        levels: modality -> column of categories -> level -> label.
        outcomes: task -> class or adverse event -> label.
    """

    modalities: Labels = Field(default_factory=dict)
    tasks: Labels = Field(default_factory=dict)
    columns: dict[str, Labels] = Field(default_factory=dict)
    levels: dict[str, dict[str, Labels]] = Field(default_factory=dict)
    outcomes: dict[str, Labels] = Field(default_factory=dict)

    def check(
        self, tables: Mapping[str, Mapping[str, Sequence[str]]], outcomes: Mapping[str, Sequence[str]]
    ) -> None:
        """Raise a ValueError for a label of what the file does not name, or that two things share.

        Args:
            tables: modality, or the table of outcomes -> column -> levels.
            outcomes: task -> classes or adverse events.
        """
        _check("modalities", self.modalities, tables)
        _check("tasks", self.tasks, outcomes)
        for what, named, there in (
            ("columns", self.columns, tables),
            ("levels", self.levels, tables),
            ("outcomes", self.outcomes, outcomes),
        ):
            if unknown := set(named) - set(there):
                raise ValueError(f"display_names.{what} names {min(unknown)}, which is not in the file")
        for table, labels in self.columns.items():
            _check(f"columns.{table}", labels, tables[table])
        for table, columns in self.levels.items():
            for column, labels in columns.items():
                _check(f"levels.{table}.{column}", labels, tables[table].get(column, ()))
        for task, labels in self.outcomes.items():
            _check(f"outcomes.{task}", labels, outcomes[task])

    def modality(self, name: str) -> str:
        """Return the label of a modality, or its name."""
        return self.modalities.get(name, name)

    def task(self, name: str) -> str:
        """Return the label of a task, or its name."""
        return self.tasks.get(name, name)

    def column(self, modality: str, name: str) -> str:
        """Return the label of a column, or its name."""
        return self.columns.get(modality, {}).get(name, name)

    def level(self, modality: str, column: str, name: str) -> str:
        """Return the label of a level, or its name."""
        return self.levels.get(modality, {}).get(column, {}).get(name, name)

    def division(self, column: str) -> str:
        """Return the label of a column that patients are divided by, or its name."""
        return next((labels[column] for labels in self.columns.values() if column in labels), column)

    def group(self, column: str, name: str) -> str:
        """Return the label of a group of such a division, or its name."""
        of_column = (columns.get(column, {}) for columns in self.levels.values())
        return next((labels[name] for labels in of_column if name in labels), name)

    def outcome(self, task: str, name: str) -> str:
        """Return the label of a class or an adverse event, or its name."""
        return self.outcomes.get(task, {}).get(name, name)


def _check(what: str, labels: Mapping[str, str], names: Iterable[str]) -> None:
    """Raise a ValueError for a label of what is not there, or two things that would read alike."""
    shown = {name: labels.get(name, name) for name in names}
    if unknown := set(labels) - set(shown):
        raise ValueError(f"display_names.{what} names {min(unknown)}, which is not in the file")
    seen = Counter(label.casefold() for label in shown.values())
    for label in labels.values():
        if seen[label.casefold()] > 1:
            raise ValueError(f"display_names.{what} calls two things {label}")
