"""Profile of a hospital's cohort beside the ranges of a federation file.

Nothing of it leaves the hospital: it is printed on the hospital's own terminal, and the page stays in the site folder.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from client.data.cohort import Cohort
from client.data.inspection import inspect_cohort
from client.profile.columns import Array, ColumnAgreement, profile_of_levels, profile_of_numbers
from client.profile.figures import (
    CohortProfile,
    FollowUpProfile,
    LevelProfile,
    NumberProfile,
    TableProfile,
)
from client.site_folder.places import Home
from common.agreement.agreement import FILE_NAME
from common.agreement.federation import OUTCOMES, Federation, load
from common.agreement.labels import column_label, level_label, modality_label, outcome_label, task_label
from common.agreement.modalities import Modality
from common.errors import InvalidContentError, MissingFileError
from common.tasks.regression import RegressionTask
from common.tasks.survival import SurvivalTask


def profile(home: Home, federation: Path | None = None) -> CohortProfile:
    """Profile the cohort of a site folder.

    Args:
        home: the site folder.
        federation: folder of a federation file, or the file; None for the one that the hospital approved.

    Raises:
        InputError: if there is no federation file, it is not about patients, or outcomes cannot be read.
    """
    path = home.agreement if federation is None else federation
    if federation is not None and federation.is_dir():
        path = federation / FILE_NAME
    if federation is None and not path.is_file():
        what = "nothing is approved yet, so that there is no range to compare with"
        raise MissingFileError(str(path), what, "name the federation's folder with --federation FOLDER")
    agreement = load(path)
    cohort, problems = inspect_cohort(home.folder, agreement)
    if cohort is None:
        first = problems[0]
        raise InvalidContentError(first.where, first.what, first.remedy)
    return CohortProfile(
        site=cohort.site,
        federation=agreement.name,
        digest=agreement.digest,
        approved=federation is None,
        patients=len(cohort.batch),
        tables=tuple(_table(cohort, agreement, modality) for modality in agreement.modalities),
        follow_up=tuple(
            _follow_up(cohort, agreement, task) for task in agreement.tasks if isinstance(task, SurvivalTask)
        ),
        outcomes=tuple(_outcomes(cohort, agreement)),
        labels=tuple(_labels(cohort, agreement)),
        problems=tuple(map(str, problems)),
        warnings=cohort.warnings,
    )


def _table(cohort: Cohort, agreement: Federation, modality: Modality) -> TableProfile:
    name, label = modality.name, modality_label(agreement, modality.name)
    if name not in cohort.unmatched:
        return TableProfile(table=name, label=label, file=None)
    size = len(modality.columns)
    seen = cohort.batch.observed[name].numpy()
    nodes = cohort.batch.values[name].double().numpy()
    values = cohort.raw[name].double().numpy() if name in cohort.raw else nodes
    patients = int(cohort.batch.present(name).sum())
    numbers = []
    for index, column in enumerate(modality.columns):
        plausible, rows = modality.plausible_for(column), seen[:, index]
        agreed = ColumnAgreement(
            column,
            column_label(agreement, name, column),
            cohort.file.source_of(name, column),
            plausible.unit,
            (plausible.low, plausible.high),
            plausible.typical,
        )
        numbers.append(profile_of_numbers(agreed, values[rows, index], patients - int(rows.sum())))
    categories = []
    for column, levels in modality.categories.items():
        counts = (nodes[:, size : size + len(levels)] * seen[:, size : size + len(levels)]).sum(0)
        categories.append(
            profile_of_levels(
                column,
                column_label(agreement, name, column),
                cohort.file.source_of(name, column),
                [level_label(agreement, name, column, level) for level in levels],
                counts,
                patients,
            )
        )
        size += len(levels)
    return TableProfile(
        table=name,
        label=label,
        file=cohort.file.source_of(name),
        patients=patients,
        unmatched=cohort.unmatched[name],
        numbers=tuple(numbers),
        categories=tuple(categories),
    )


def _follow_up(cohort: Cohort, agreement: Federation, task: SurvivalTask) -> FollowUpProfile:
    """Profile times of all patients and of those with an event, who have a typical range."""
    labels = cohort.batch.labels[task.name].double().numpy()
    rows = cohort.batch.labelled[task.name].all(1).numpy()
    time, event = labels[:, 0], rows & (labels[:, 1] > 0)
    label, source = (
        column_label(agreement, OUTCOMES, task.time),
        cohort.file.source_of(OUTCOMES, task.time),
    )
    ends = (0.0, task.longest)
    of_all = ColumnAgreement(task.time, label, source, task.unit, ends)
    of_events = ColumnAgreement(task.time, f"{label} of events", source, task.unit, ends, task.typical)
    events = profile_of_numbers(of_events, time[event], 0)
    return FollowUpProfile(
        task=task.name,
        label=task_label(agreement, task.name),
        event=task.event,
        events=int(event.sum()),
        times=profile_of_numbers(of_all, time[rows], int((~rows).sum())),
        of_events=events,
    )


def _outcomes(cohort: Cohort, agreement: Federation) -> Iterator[NumberProfile]:
    for task in agreement.tasks:
        if isinstance(task, RegressionTask):
            values = cohort.batch.labels[task.name][:, 0].double().numpy()
            rows = cohort.batch.labelled[task.name][:, 0].numpy()
            agreed = ColumnAgreement(
                task.target,
                column_label(agreement, OUTCOMES, task.target),
                cohort.file.source_of(OUTCOMES, task.target),
                task.unit,
                (task.low, task.high),
                task.typical,
            )
            yield profile_of_numbers(agreed, values[rows], int((~rows).sum()))


def _labels(cohort: Cohort, agreement: Federation) -> Iterator[LevelProfile]:
    for task in agreement.tasks:
        if isinstance(task, SurvivalTask | RegressionTask):
            continue
        labels = cohort.batch.labels[task.name].double().numpy()
        labelled = cohort.batch.labelled[task.name].numpy()
        for index, column in enumerate(task.columns):
            values = labels[labelled[:, index], index]
            names = task.classes_of.get(column, ("no", "yes"))
            shown = [outcome_label(agreement, task.name, name) for name in names]
            counts: Array = np.array(
                [(values == level).sum() for level in range(len(names))], dtype=np.float64
            )
            source = cohort.file.source_of(OUTCOMES, column)
            label = column_label(agreement, OUTCOMES, column)
            yield profile_of_levels(column, label, source, shown, counts, len(labels))
