"""Federation file of patients: modalities, tasks, prior knowledge and network sizes."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from common.agreed import Problem, about
from common.agreement.agreement import FILE_NAME, LONGEST_TEXT, PATIENTS, Agreement, save, twice
from common.agreement.display_names import DisplayNames, label_problems
from common.agreement.loading import load_agreement
from common.agreement.modalities import LARGEST, Modality
from common.agreement.model_config import HierarchicalConfig, ModelSection
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.errors import InvalidContentError
from common.tasks.registry import AnyTask

__all__ = ["FILE_NAME", "LONGEST_TEXT", "OUTCOMES", "Federation", "load", "save"]

OUTCOMES = "outcomes"
"""The table of labels in a site folder."""


class Federation(Agreement):
    """The whole agreement of a federation whose records are patients."""

    layout: ClassVar = (
        *("version", "name", "minimum_patients", "modalities", "tasks", "prior", "model"),
        *("training", "statistics", "rounds", "wire", "privacy", "participants"),
    )

    kind: Literal["patients"] = Field(
        default="patients",
        description="Kind of record: tables with a row per patient.",
        json_schema_extra=about(example="patients", change="Leave it out."),
    )
    modalities: tuple[Modality, ...] = Field(
        min_length=1,
        description="Tables of what is known of a patient, from which the model predicts.",
        json_schema_extra=about(
            example=[{"name": "clinical", "node": "clinical", "columns": ["age"]}],
            change="Write one table for every table; a hospital may lack some of them.",
        ),
    )
    tasks: tuple[AnyTask, ...] = Field(
        min_length=1,
        description="What the model predicts, from columns of the table of outcomes.",
        json_schema_extra=about(
            example=[{"kind": "response", "name": "response", "label": "response", "classes": ["no", "yes"]}],
            change="Write one table for every outcome; several are learnt together.",
        ),
    )
    prior: PriorGraph = Field(
        default=PriorGraph(),
        description="Public knowledge of genes, proteins and pathways, as files beside this one.",
        json_schema_extra=about(example={}, change="See its keys."),
    )
    model: ModelSection = Field(
        default=HierarchicalConfig(),
        description="Kind and sizes of the model.",
        json_schema_extra=about(example={"width": 32}, change="See its keys."),
    )
    display_names: DisplayNames = Field(
        default=DisplayNames(),
        description="Words for people beside the names that tables have; nothing is read, computed or sent by them.",
        json_schema_extra=about(
            example={"columns": {"clinical": {"age": "Age at diagnosis"}}},
            change="Give them to columns, levels and outcomes whose names are codes.",
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Names that occur twice, and labels of what is not there."""
        yield from super().problems()
        yield from twice("modalities", "name", [modality.name for modality in self.modalities])
        yield from twice("tasks", "name", [task.name for task in self.tasks])
        tables: dict[str, dict[str, tuple[str, ...]]] = {
            modality.name: dict.fromkeys(modality.columns, ()) | modality.categories
            for modality in self.modalities
        }
        tables[OUTCOMES] = {column: () for task in self.tasks for column in task.columns}
        outcomes = {task.name: task.outcome_names for task in self.tasks}
        yield from label_problems(self.display_names, tables, outcomes)

    @property
    def public_files(self) -> tuple[PublicFile, ...]:
        """The public files that the agreement names."""
        return tuple(filter(None, (self.prior.edges, self.prior.pathways, self.prior.hierarchy)))

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks."""
        return tuple(task.name for task in self.tasks)

    @property
    def tables(self) -> dict[str, frozenset[str]]:
        """The table of outcomes and that of every modality -> their columns."""
        outcomes = {OUTCOMES: frozenset(column for task in self.tasks for column in task.columns)}
        return outcomes | {
            modality.name: frozenset((*modality.columns, *modality.categories))
            for modality in self.modalities
        }

    @property
    def required_tables(self) -> tuple[str, ...]:
        """The table of outcomes."""
        return (OUTCOMES,)

    @property
    def linear_rounds(self) -> int:
        """Number of first rounds that fit the linear scores of the model alone.

        None under privacy, with its own steps, nor where updates are encoded, which would blur the gradients.
        """
        if self.privacy is not None or self.wire.update != "float32" or not self.model.has_scores:
            return 0
        return min(self.training.linear_rounds or 0, self.training.rounds)

    @property
    def steepest_score(self) -> float:
        """The most that a patient's loss rises with one weight of the linear scores.

        Every output's loss rises by no more than its logit, a standardised value is no larger than `LARGEST`, and a
        flag no larger than 1.
        """
        outputs = max(task.outputs for task in self.tasks)
        return outputs * max(max(LARGEST * m.score_scale, m.flag_scale) for m in self.modalities)

    def modality(self, name: str) -> Modality:
        """The modality of that name."""
        return next(modality for modality in self.modalities if modality.name == name)


def load(path: Path) -> Federation:
    """Read a federation file of patients and check the public files it names.

    Raises:
        InputError: as `load_agreement`, or if its records are of another kind.
    """
    agreement = load_agreement(path)
    if not isinstance(agreement, Federation):
        what = f"is about {agreement.kind}, and this is for {PATIENTS}"
        raise InvalidContentError(str(path), what, "name a federation file of patients")
    return agreement
