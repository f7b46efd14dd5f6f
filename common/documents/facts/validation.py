"""Facts from the validation in a release, on patients who did not train."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from common.counting import counted
from common.documents.facts.fact import Fact, Facts, Topic
from common.release.members import TEST, VALIDATION
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
    judged = [(title, unit, outcome) for title, unit, outcome in _outcomes(table) if outcome.patients]
    tested, unit = _tested(release), release.card.unit
    return {
        Topic.VALIDATION: Fact(
            "Validation on held-out patients",
            (
                *(_size(title, outcome, unit) for title, _, outcome in _outcomes(table)),
                f"They are {unit} of the hospitals that trained the model. Those who validated its rounds chose the"
                " kept one.",
                *(_size(title, outcome, unit) for title, _, outcome in tested),
            ),
            table.model_dump(mode="json"),
        ),
        Topic.DISCRIMINATION: _fact(
            "Discrimination", [*judged, *tested], _discrimination, lambda outcome: outcome.concordance
        ),
        Topic.CALIBRATION: _fact(
            "Calibration", [*judged, *tested], _calibration, lambda outcome: outcome.horizons
        ),
        Topic.NET_BENEFIT: _fact("Net benefit", judged, _net_benefit, lambda outcome: outcome.decisions),
        Topic.HETEROGENEITY: _fact(
            "Performance by hospital", judged, _hospitals, lambda outcome: outcome.concordances
        ),
        Topic.SUBGROUPS: _fact("Subgroups", judged, _groups, lambda outcome: outcome.groups),
    }


def _tested(release: ModelRelease) -> "Judged":
    """Outcomes of those who neither trained the model nor helped to choose it."""
    content = release.members.get(TEST)
    if content is None:
        return []
    table = ValidationTable.of_content(content, f"{release.where}, {TEST}")
    return [
        (f"{title}, test {release.card.unit}", unit, outcome) for title, unit, outcome in _outcomes(table)
    ]


Judged = list[tuple[str, str, OutcomeTable]]


def _outcomes(table: ValidationTable) -> Iterator[tuple[str, str, OutcomeTable]]:
    """Yield title, unit of time, and table of every outcome."""
    for task, outcomes in table.tasks.items():
        for outcome in outcomes:
            yield f"{task}, {outcome.name}" if outcome.name else task, table.units.get(task, ""), outcome


def _fact(
    title: str,
    judged: Judged,
    lines: Callable[[str, str, OutcomeTable], Iterable[str]],
    data: Callable[[OutcomeTable], Any],
) -> Fact:
    return Fact(
        title,
        tuple(line for name, unit, outcome in judged for line in lines(name, unit, outcome)),
        {name: _plain(data(outcome)) for name, _, outcome in judged},
    )


def _plain(value: Any) -> Any:
    """Records of a validation as plain data."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value.model_dump(mode="json")


def _size(title: str, outcome: OutcomeTable, unit: str) -> str:
    if not outcome.patients:
        return f"{title}: no hospital held out enough {unit} with the outcome and without it."
    hospitals = counted(len(outcome.patients), "hospital")
    return f"{title}: {sum(outcome.patients.values()):,} held-out {unit} of {hospitals}."


def _known(estimate: IntervalEstimate | None) -> bool:
    return estimate is not None and estimate.value is not None


def _main(outcome: OutcomeTable) -> HorizonTable | None:
    return next((table for table in outcome.horizons if table.index == outcome.main), None)


def _by(table: HorizonTable, unit: str) -> str:
    return "" if table.horizon is None else f" by {table.horizon:g} {unit}"


def _discrimination(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    if _known(outcome.concordance):
        patients, hospitals = sum(outcome.patients.values()), counted(len(outcome.patients), "hospital")
        yield (
            f"{title}: concordance {outcome.concordance.text()} within hospitals, among {patients:,} held-out patients"
            f" of {hospitals}; in brackets the 95% interval."
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
    values = {name: figure.value for name, figure in outcome.concordances.items() if figure.value is not None}
    if len(values) < 2:
        return
    lowest, highest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    line = f"{title}: concordance from {values[lowest]:.2f} ({lowest}) to {values[highest]:.2f} ({highest})"
    if outcome.between is not None:
        low, high = outcome.between.predicted
        line += f"; by random effects another hospital's is expected from {low:.2f} to {high:.2f}"
    yield f"{line}."
    main = _main(outcome)
    rows = {} if main is None else main.hospitals
    ratios = {name: figures.ratio for name, figures in rows.items() if _known(figures.ratio)}
    if main is not None and len(ratios) > 1:
        by_hospital = "; ".join(f"{name} {ratio.text()}" for name, ratio in ratios.items())
        yield f"{title}: observed over expected risk{_by(main, unit)}: {by_hospital}."


def _groups(title: str, unit: str, outcome: OutcomeTable) -> Iterator[str]:
    for group in outcome.groups:
        yield (
            f"{title}, {group.division} {group.name}: observed over expected {group.ratio.text()}, concordance"
            f" {group.concordance.text()}; {group.patients:,} patients with {group.events:,} events at"
            f" {counted(group.hospitals, 'hospital')} with enough of them."
        )
