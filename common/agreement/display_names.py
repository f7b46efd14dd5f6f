"""Display names of a federation file: words for people beside the names that tables have."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from common.agreed import Agreed, Problem, about, nearest

LONGEST_LABEL = 80
"""Characters of a display name, which has to fit a row of a table."""

Label = Annotated[str, Field(min_length=1, max_length=LONGEST_LABEL)]

Labels = dict[str, Label]


class DisplayNames(Agreed):
    """Words by which pages and tables call what the file names.

    Nothing is read, computed or sent by them.
    """

    modalities: Labels = Field(
        default_factory=dict,
        description="Modality -> words for it.",
        json_schema_extra=about(
            example={"rna": "Gene expression"}, change="Give it to tables with short names."
        ),
    )
    tasks: Labels = Field(
        default_factory=dict,
        description="Task -> words for it.",
        json_schema_extra=about(
            example={"survival": "Overall survival"}, change="Name the endpoint as your protocol does."
        ),
    )
    columns: dict[str, Labels] = Field(
        default_factory=dict,
        description="Modality -> column -> words for it; the table of outcomes is `outcomes`.",
        json_schema_extra=about(
            example={"clinical": {"age": "Age at diagnosis"}},
            change="Give them to columns whose names are codes.",
        ),
    )
    levels: dict[str, dict[str, Labels]] = Field(
        default_factory=dict,
        description="Modality -> column of categories -> level -> words for it.",
        json_schema_extra=about(
            example={"clinical": {"sex": {"1": "male", "2": "female"}}},
            change="Give them to levels that are numbers.",
        ),
    )
    outcomes: dict[str, Labels] = Field(
        default_factory=dict,
        description="Task -> class or adverse event -> words for it.",
        json_schema_extra=about(
            example={"response": {"CR": "Complete response"}},
            change="Give them to classes and events that are codes.",
        ),
    )

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


def label_problems(
    given: DisplayNames,
    tables: Mapping[str, Mapping[str, Sequence[str]]],
    outcomes: Mapping[str, Sequence[str]],
) -> Iterator[Problem]:
    """Labels of what the file does not name, or that two things share.

    Args:
        given: the labels.
        tables: modality, or the table of outcomes -> column -> levels.
        outcomes: task -> classes or adverse events.
    """
    yield from _labels(("modalities",), given.modalities, tables)
    yield from _labels(("tasks",), given.tasks, outcomes)
    for table, labels in given.columns.items():
        yield from _absent(("columns",), table, tables) or _labels(("columns", table), labels, tables[table])
    for table, columns in given.levels.items():
        if absent := _absent(("levels",), table, tables):
            yield from absent
            continue
        for column, labels in columns.items():
            yield from _absent(("levels", table), column, tables[table]) or _labels(
                ("levels", table, column), labels, tables[table][column]
            )
    for task, labels in given.outcomes.items():
        yield from _absent(("outcomes",), task, outcomes) or _labels(
            ("outcomes", task), labels, outcomes[task]
        )


def _absent(where: tuple[str, ...], name: str, names: Iterable[str]) -> list[Problem]:
    """The problem of a name that is not in the file; none if it is."""
    there = list(names)
    if name in there:
        return []
    what = f"display_names.{'.'.join(where)} names {name}, which is not in the file"
    remedy = nearest(name, there, "remove it, or correct its name")
    return [Problem(("display_names", *where, name), what, remedy)]


def _labels(where: tuple[str, ...], labels: Mapping[str, str], names: Iterable[str]) -> list[Problem]:
    """Problems of the labels in one place."""
    shown = {name: labels.get(name, name) for name in names}
    absent = [problem for name in labels for problem in _absent(where, name, shown)]
    seen = Counter(label.casefold() for label in shown.values())
    shared = [
        Problem(
            ("display_names", *where, name),
            f"display_names.{'.'.join(where)} calls two things {label}",
            "give each words of its own",
        )
        for name, label in labels.items()
        if name in shown and seen[label.casefold()] > 1
    ]
    return absent + shared
