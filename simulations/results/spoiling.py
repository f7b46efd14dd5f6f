"""Record `warnings.json`: spoilt tables that are found, and accuracy over patients left."""

from simulations.results.machine import Measurement, Record

FILE_NAME = "warnings.json"


class CoveragePoint(Record):
    """Accuracy over a share of the patients.

    Attributes:
        share: of the patients, those with the most usual tables.
        patients: number of them.
        brier: mean squared error of their risk by the horizon, weighted for censoring; None where it is not defined.
        concordance: of the same patients; None where it is not defined.
    """

    share: float
    patients: int
    brier: float | None
    concordance: float | None


class WarningRow(Record):
    """Answers about patients with a fault.

    Attributes:
        fault: what was planted.
        patients: who have the tables.
        warned: share of them who are refused, not predicted, or to be looked at.
        withheld: share of them who are refused or not predicted.
        together: share of tables of ten patients that are found; None where they were not judged.
    """

    fault: str
    patients: int
    warned: float
    withheld: float
    together: float | None = None


class SpoiltBrier(Record):
    """Brier scores where a part of the tables is spoilt.

    Attributes:
        spoilt: share of the patients.
        answered: share of the patients who are predicted.
        everybody: score over all patients.
        rest: score over those who are predicted.
        coverage: share of the patients, those with the most usual tables -> score.
    """

    spoilt: float
    answered: float
    everybody: float | None
    rest: float | None
    coverage: dict[float, float | None]


class WarningFigures(Measurement):
    """Figures of a run's warnings on a cohort's held-out patients.

    Attributes:
        cohort: name of the cohort.
        task: whose accuracy is measured; None where there is no time to an event.
        horizon: of its risk.
        rows: ordinary patients first, then those with a fault.
        coverage: accuracy over ever fewer patients with usual tables.
        spoilt: effect of abstention where a part of the tables is spoilt.
    """

    FILE = FILE_NAME
    COMMAND = "consilium bench warnings"

    cohort: str
    task: str | None
    horizon: float | None
    rows: tuple[WarningRow, ...]
    coverage: tuple[CoveragePoint, ...] = ()
    spoilt: SpoiltBrier | None = None
