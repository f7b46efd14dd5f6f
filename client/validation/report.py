"""Validation of a release at a hospital, as it is printed, written and shown as a page.

It has figures of groups with at least five records of either outcome, and neither a record nor a date of one.
"""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Self

from pydantic import Field

from client.prediction.judging import ObservedShare
from client.prediction.predictor import predictor_of
from client.prediction.provenance import TaskCalibrated
from client.site_folder.places import Home
from client.site_folder.releases import open_adopted
from client.validation.judged import Setting, judged_records
from common.agreement.display_names import DisplayNames
from common.agreement.labels import display_names
from common.prediction.network import released_network
from common.release.card import USE
from common.validation.estimate import ValidationRecord
from common.validation.figures import TaskFigures


class ValidationReport(ValidationRecord):
    """Figures of a release on records of a hospital that did not train it.

    Attributes:
        release: version.
        federation: digest of the federation file.
        setting: kind of validation.
        whose: words for the records.
        since: first day of the records; None for all.
        records: their number.
        unit: plural of what is counted, such as patients.
        made: day of the validation.
        use: what the release is for.
        tasks: figures by task.
        observed: modality -> what was measured.
        calibration: task -> whether the judged risks are calibrated at the hospital.
        display_names: of the federation file, which text and pages use; JSON has them beside the tables' names.
    """

    release: str
    federation: str
    setting: Setting
    whose: str
    since: date | None
    records: int
    unit: str
    made: date
    use: str = USE
    tasks: tuple[TaskFigures, ...]
    observed: dict[str, ObservedShare]
    calibration: dict[str, TaskCalibrated] = Field(default_factory=dict)
    display_names: DisplayNames = Field(
        default=DisplayNames(), exclude_if=lambda names: names == DisplayNames()
    )

    @property
    def labelled(self) -> Self:
        """The report in the words of the federation file."""
        names = self.display_names
        return self.model_copy(
            update={
                "tasks": tuple(labelled_figures(task, names) for task in self.tasks),
                "observed": {names.modality(name): share for name, share in self.observed.items()},
                "calibration": {names.task(task): state for task, state in self.calibration.items()},
                "display_names": DisplayNames(),
            }
        )

    @property
    def is_fitted_to_these(self) -> bool:
        """Whether levels of calibration were fitted to these records among others."""
        return self.setting is Setting.INTERNAL and any(state.yes for state in self.calibration.values())


def validate(
    home: Home,
    tables: Path | None,
    since: date | None,
    horizons: Sequence[float],
    thresholds: Sequence[float],
) -> ValidationReport:
    """Validate the adopted release on labelled records of a hospital.

    Args:
        home: the site folder.
        tables: folder with tables of other records; None for those of the site folder.
        since: first day of the records.
        horizons: in the unit of the federation file's survival tasks; empty for years up to the follow-up.
        thresholds: of risk, for the net benefit.

    Raises:
        InputError: if no release is adopted, the tables cannot be read, or no record is left.
    """
    release = open_adopted(home)
    judged = judged_records(home, release, released_network(release), tables, since)
    predictor = predictor_of(release.agreement)
    judgement = predictor.validated(judged.network, judged.records, horizons, thresholds, judged.hospital)
    return ValidationReport(
        release=release.version,
        federation=release.manifest.federation,
        setting=judged.setting,
        whose=judged.whose,
        since=since,
        records=len(judged.records),
        unit=release.card.unit,
        made=datetime.now().astimezone().date(),
        tasks=judgement.tasks,
        observed=judgement.observed,
        calibration=judgement.calibration,
        display_names=display_names(release.agreement),
    )


def labelled_figures(task: TaskFigures, names: DisplayNames) -> TaskFigures:
    """Return figures of a task in the words of the federation file."""
    outcomes = tuple(
        outcome.model_copy(
            update={
                "name": names.outcome(task.task, outcome.name),
                "groups": {
                    names.division(division): tuple(
                        group.model_copy(update={"name": names.group(division, group.name)})
                        for group in groups
                    )
                    for division, groups in outcome.groups.items()
                },
            }
        )
        for outcome in task.outcomes
    )
    return task.model_copy(update={"task": names.task(task.task), "outcomes": outcomes})
