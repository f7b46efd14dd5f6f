"""Facts from the validation in a release, on patients who did not train."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from common.documents.fact import Fact, Facts, Topic
from common.release.members import VALIDATION
from common.release.release import ModelRelease
from common.validation.estimate import IntervalEstimate
from common.validation.sums.pooling import HorizonTable
from common.validation.sums.table import OutcomeTable, ValidationTable


def validation_facts(release: ModelRelease) -> Facts:
    """Collect what the validation says, on the topics that it is about; nothing without one.

    Raises:
        InvalidContentError: if it has another form.
    """
    content = release.members.get(VALIDATION)
    if content is None:
        return {}
    table = ValidationTable.of_content(content, f"{release.where}, {VALIDATION}")
    told = [(title, unit, outcome) for title, unit, outcome in _outcomes(table) if outcome.patients]
    unit = release.card.unit
    return {
        Topic.VALIDATION: Fact(
            "Validation on held-out patients",
            (
                *(line.strip() for line in table.lines()),
                f"They are {unit} of the hospitals that trained the model. Those who validated its rounds chose the"
                " kept one.",
            ),
            table.model_dump(mode="json"),
        ),
        Topic.DISCRIMINATION: _fact("Discrimination", told, _discrimination, lambda one: one.concordance),
        Topic.CALIBRATION: _fact("Calibration", told, _calibration, lambda one: one.horizons),
        Topic.NET_BENEFIT: _fact("Net benefit", told, _net_benefit, lambda one: one.decisions),
        Topic.HETEROGENEITY: _fact("Performance by hospital", told, _hospitals, lambda one: one.concordances),
        Topic.SUBGROUPS: _fact("Subgroups", told, _groups, lambda one: one.groups),
    }


Told = list[tuple[str, str, OutcomeTable]]


def _outcomes(table: ValidationTable) -> Iterator[tuple[str, str, OutcomeTable]]:
    """Yield title, unit of time, and table of every outcome."""
    for task, outcomes in table.tasks.items():
        for outcome in outcomes:
            yield f"{task}, {outcome.name}" if outcome.name else task, table.units.get(task, ""), outcome


def _fact(
    title: str,
    told: Told,
    lines: Callable[[str, str, OutcomeTable], Iterable[str]],
    data: Callable[[OutcomeTable], Any],
) -> Fact:
    return Fact(
        title,
        tuple(line for name, unit, outcome in told for line in lines(name, unit, outcome)),
        {name: _plain(data(outcome)) for name, _, outcome in told},
    )


def _plain(value: Any) -> Any:
    """Records of a validation as plain data."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.model_dump(mode="json")


def _known(estimate: IntervalEstimate | None) -> bool:
    return estimate is not None and estimate.value is not None


def _main(outcome: OutcomeTable) -> HorizonTable | None:
    return next((table for table in outcome.horizons if table.index == outcome.main), None)


def _by(table: HorizonTable, unit: str) -> str:
    return "" if table.horizon is None else f" by {table.horizon:g} {unit}"


def _discrimination(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    if _known(outcome.concordance):
        patients, hospitals = sum(outcome.patients.values()), len(outcome.patients)
        yield (
            f"{title}: concordance {outcome.concordance.text()} within hospitals, among {patients:,} held-out patients"
            f" of {hospitals:,} hospitals; in brackets the 95% interval."
        )


def _calibration(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    main = _main(outcome)
    if main is not None and _known(main.ratio):
        yield (
            f"{title}: before any calibration, observed over expected risk{_by(main, unit)} {main.ratio.text()};"
            f" Brier score {main.brier:.3f}, of the same risk for everybody {main.null:.3f}."
        )


def _net_benefit(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    parts = [
        f"at {decision.threshold:.0%} {decision.model.text(3)}, against {decision.everyone:.3f} of treating everybody"
        for decision in outcome.decisions
        if _known(decision.model) and decision.everyone is not None
    ]
    if parts:
        yield f"{title}, by the risk from which one would treat (treating nobody has 0): {'; '.join(parts)}."


def _hospitals(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    values = {name: one.value for name, one in outcome.concordances.items() if one.value is not None}
    if len(values) < 2:
        return
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    line = f"{title}: concordance from {values[lowest]:.2f} ({lowest}) to {values[highest]:.2f} ({highest})"
    if outcome.between is not None:
        low, high = outcome.between.predicted
        line += f"; by random effects another hospital's is expected from {low:.2f} to {high:.2f}"
    yield f"{line}."
    main = _main(outcome)
    ratios = {} if main is None else {name: one for name, one in main.hospitals.items() if _known(one)}
    if main is not None and len(ratios) > 1:
        each = "; ".join(f"{name} {one.text()}" for name, one in ratios.items())
        yield f"{title}: observed over expected risk{_by(main, unit)}: {each}."


def _groups(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    for group in outcome.groups:
        yield (
            f"{title}, {group.division} {group.name}: observed over expected {group.ratio.text()}, concordance"
            f" {group.concordance.text()}; {group.patients:,} patients with {group.events:,} events at the"
            f" {group.hospitals} hospitals that have enough of them."
        )
