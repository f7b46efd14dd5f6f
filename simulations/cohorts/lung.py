"""North Central Cancer Treatment Group lung cancer: survival of 228 patients by institution.

Loprinzi et al., J Clin Oncol 1994; the table that comes with lifelines.
"""

from pathlib import Path

from common.agreement.modalities import Modality, Plausible
from common.errors import MissingDependencyError
from common.tasks.survival import SurvivalTask
from simulations.cohorts.patients import FOLD, SourcePatients, hold_out, write_patients

SMALLEST = 13
"""Institutions with fewer patients are pooled: with a fifth held out, fewer than ten would be left."""


POOL = "pooled institutions"


_RANGES = {
    "age": Plausible(unit="years", low=18, high=110, typical=(55, 75)),
    "ph.ecog": Plausible(unit="ECOG grade", low=0, high=4, typical=(0, 2)),
    "ph.karno": Plausible(unit="Karnofsky points", low=0, high=100, typical=(70, 90)),
    "pat.karno": Plausible(unit="Karnofsky points", low=0, high=100, typical=(70, 90)),
    "meal.cal": Plausible(unit="kcal", low=0, high=6000, typical=(1000, 2000)),
    "wt.loss": Plausible(unit="pounds in six months", low=-60, high=150, typical=(0, 20)),
}


_CLINICAL = Modality(
    name="clinical",
    node="clinical",
    columns=tuple(_RANGES),
    categories={"sex": ("1", "2")},
    ranges=_RANGES,
)


_SURVIVAL = SurvivalTask(
    name="survival", time="time", event="status", unit="days", longest=5000, typical=(90, 700)
)


def write_lung(out: Path, seed: int) -> None:
    """Write the ten sites of the lung cohort and their federation file.

    Raises:
        InputError: if the table that comes with lifelines is not the one we know.
    """
    from lifelines.datasets import load_lung

    table = load_lung()
    if wanted := {"inst", "time", "status", "sex", *_RANGES} - set(table.columns):
        raise MissingDependencyError(
            f"lifelines lung, column {min(wanted)}", "is missing", "install lifelines 0.30"
        )
    table.index = [f"lung-{number:03d}" for number in range(len(table))]
    patients = table["inst"].map(table["inst"].value_counts())
    named = table["inst"].map(lambda number: f"institution {number:02.0f}")
    site = named.where(patients >= SMALLEST, POOL)
    table[FOLD] = hold_out([*zip(site, table["status"], strict=True)], seed)
    cohort = SourcePatients(site, table[["time", "status", FOLD]], {"clinical": table})
    write_patients(out, "lung", cohort, [_CLINICAL], [_SURVIVAL])
