"""Validation of a release, made of hospitals' sums: the member `validation.json`."""

from collections.abc import Iterator, Mapping
from typing import Self

from pydantic import ValidationError, model_validator

from common.agreement.federation import Federation
from common.counting import counted
from common.errors import InvalidContentError
from common.release.members import TEST, VALIDATION
from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.meta_analysis import Pooled
from common.validation.net_benefit import NetBenefit
from common.validation.sums.pooling import (
    Arrays,
    GroupTable,
    HorizonTable,
    RiskCell,
    ThirdCurve,
    outcome_table,
)
from common.validation.sums.shapes import is_judged, outcomes_of


class OutcomeTable(ValidationRecord):
    """Validation of an outcome over hospitals.

    Attributes:
        name: of the class or adverse event; empty for a time to an event.
        patients: hospital -> held-out patients with a label; hospitals with too few of an outcome are left out.
        concordance: over pairs of patients of the same hospital.
        concordances: hospital -> concordance among its patients.
        between: concordance over hospitals, by random effects; None for fewer than three.
        horizons: figures by horizon; one without a time for a class or adverse event.
        main: index of the horizon of everything below.
        cells: by predicted risk.
        decisions: net benefit by threshold, over the hospitals that told it.
        groups: by sex and age.
        thirds: survival by third of predicted risk; empty where no hospital had enough patients.
    """

    name: str
    patients: dict[str, int]
    concordance: IntervalEstimate
    concordances: dict[str, IntervalEstimate]
    between: Pooled | None
    horizons: tuple[HorizonTable, ...]
    main: int
    cells: tuple[RiskCell, ...]
    decisions: tuple[NetBenefit, ...]
    groups: tuple[GroupTable, ...]
    thirds: tuple[ThirdCurve, ...] = ()

    def worst(self) -> tuple[str, float] | None:
        """Return the hospital with the lowest concordance; None for fewer than two."""
        values = {
            name: estimate.value for name, estimate in self.concordances.items() if estimate.value is not None
        }
        if len(values) < 2:
            return None
        name = min(values, key=lambda name: values[name])
        return name, values[name]


class ValidationTable(ValidationRecord):
    """Validation of a release over hospitals: task -> its outcomes, and the unit of its time."""

    tasks: dict[str, tuple[OutcomeTable, ...]]
    units: dict[str, str]

    @model_validator(mode="after")
    def _one_unit_a_task(self) -> Self:
        if self.units.keys() != self.tasks.keys():
            raise ValueError("every task must have a unit")
        return self

    def content(self) -> bytes:
        """Write the table as the member of a release."""
        return self.model_dump_json(indent=1).encode() + b"\n"

    @classmethod
    def of_content(cls, content: bytes, where: str) -> "ValidationTable":
        """Read the member of a release.

        Raises:
            InputError: if it has another form.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError:
            remedy = "install the version of consilium that made the release"
            raise InvalidContentError(where, "has another form", remedy) from None

    def lines(self, done: str = "Validated", whom: str = "held-out patient") -> Iterator[str]:
        """Say in two lines an outcome how the release did on patients of hospitals.

        Args:
            done: what was done with them, in the words of a line's beginning.
            whom: they are, in the singular.
        """
        for task, outcomes in self.tasks.items():
            for outcome in outcomes:
                yield from self._outcome_lines(task, outcome, done, whom)

    def _outcome_lines(self, task: str, outcome: OutcomeTable, done: str, whom: str) -> Iterator[str]:
        title = f"{task}, {outcome.name}" if outcome.name else task
        patients, hospitals = sum(outcome.patients.values()), len(outcome.patients)
        if not hospitals:
            yield f"{done}, {title}: no hospital had enough {whom}s with the outcome and without."
            return
        line = f"{done}, {title}: {counted(patients, whom)} of {counted(hospitals, 'hospital')}"
        line += f", concordance {outcome.concordance.text()}"
        if outcome.between is not None:
            low, high = outcome.between.predicted
            line += f", another hospital's expected from {low:.2f} to {high:.2f}"
        if (worst := outcome.worst()) is not None:
            line += f"; lowest at {worst[0]}: {worst[1]:.2f}"
        yield line + "."
        main = next((table for table in outcome.horizons if table.index == outcome.main), None)
        if main is not None:
            by = "" if main.horizon is None else f" by {main.horizon:g} {self.units[task]}"
            text = f"  Risk{by}: observed / expected {main.ratio.text()}"
            if main.followed is not None:
                text += f", while followed {main.followed.text()}"
            if main.auc.value is not None:
                text += f"; AUC {main.auc.text()}"
            yield f"{text}; Brier score {main.brier:.3f}, null model {main.null:.3f}."


def table_of(agreement: Federation, sites: Mapping[str, Arrays]) -> ValidationTable | None:
    """Make the table of hospitals' sums; None if no hospital had enough patients for a number."""
    tasks = {
        task.name: tuple(
            OutcomeTable(name=name, **outcome_table(task, index, agreement, sites))
            for index, name in enumerate(outcomes_of(task))
        )
        for task in agreement.tasks
        if is_judged(task)
    }
    if not any(outcome.patients for outcomes in tasks.values() for outcome in outcomes):
        return None
    return ValidationTable(
        tasks=tasks, units={task.name: task.outcome_unit for task in agreement.tasks if task.name in tasks}
    )


def validation_lines(members: Mapping[str, bytes], where: str) -> Iterator[str]:
    """Say how a release did on hospitals' held-out and test patients, if its members have that.

    Raises:
        InputError: if the member has another form.
    """
    if VALIDATION in members:
        yield from ValidationTable.of_content(members[VALIDATION], f"{where}, {VALIDATION}").lines()
    if TEST in members:
        table = ValidationTable.of_content(members[TEST], f"{where}, {TEST}")
        yield from table.lines("Tested", "test patient")
