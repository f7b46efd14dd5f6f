"""Adverse events of a real trial by trial site: 254 patients with Alzheimer's disease.

Xanomeline against placebo; the CDISC pilot submission's analysis data sets. Of its columns only those known
at baseline are features: discontinuation and its reasons are outcomes.
"""

from pathlib import Path

from common.agreement.modalities import Modality, Plausible
from common.tasks.toxicity import ToxicityTask
from simulations.cohorts.patients import (
    FOLD,
    SourcePatients,
    as_levels,
    frequent,
    hold_out,
    read_public,
    write_patients,
)

LEAST_EVENTS = 10
"""Adverse events, and levels of a category, that fewer patients have are left out."""


SMALLEST = 1
"""The federation's minimum: one site has a single patient, and is there to be told that it cannot train."""


_CLINICAL = {
    "AGE": Plausible(unit="years", low=18, high=120, typical=(68, 84)),
    "BMIBL": Plausible(unit="kg/m2", low=8, high=100, typical=(21, 29)),
    "HEIGHTBL": Plausible(unit="cm", low=100, high=230, typical=(154, 175)),
    "WEIGHTBL": Plausible(unit="kg", low=25, high=250, typical=(54, 82)),
    "EDUCLVL": Plausible(unit="years of education", low=0, high=40, typical=(10, 16)),
    "DURDIS": Plausible(unit="months of disease", low=0, high=600, typical=(15, 70)),
    "MMSETOT": Plausible(unit="MMSE points", low=0, high=30, typical=(13, 23)),
    "vital__DIABP": Plausible(unit="mmHg", low=20, high=160, typical=(68, 86)),
    "vital__PULSE": Plausible(unit="beats per minute", low=25, high=220, typical=(62, 82)),
    "vital__SYSBP": Plausible(unit="mmHg", low=50, high=280, typical=(120, 150)),
    "vital__TEMP": Plausible(unit="degrees Celsius", low=30, high=43, typical=(36.1, 37)),
}


_CATEGORIES = ("SEX", "RACE", "TRT01A")


# Unit, plausible and typical range of each baseline laboratory value, in SI units as the trial reports them.
_LABS = {
    "ALB": ("g/L", 10, 70, (37, 44)),
    "ALP": ("U/L", 5, 3000, (55, 100)),
    "ALT": ("U/L", 1, 3000, (11, 28)),
    "AST": ("U/L", 1, 3000, (15, 29)),
    "BILI": ("umol/L", 0, 500, (6, 14)),
    "BUN": ("mmol/L", 0.3, 60, (4.3, 7.8)),
    "CA": ("mmol/L", 1, 4, (2.2, 2.45)),
    "CHOL": ("mmol/L", 1, 25, (4.6, 6.8)),
    "CK": ("U/L", 5, 20000, (50, 150)),
    "CL": ("mmol/L", 60, 140, (100, 107)),
    "CREAT": ("umol/L", 15, 1500, (70, 115)),
    "GGT": ("U/L", 1, 3000, (12, 40)),
    "GLUC": ("mmol/L", 1, 60, (4.6, 7)),
    "K": ("mmol/L", 1.5, 9, (3.9, 4.7)),
    "PHOS": ("mmol/L", 0.2, 4, (1, 1.3)),
    "PROT": ("g/L", 30, 130, (64, 75)),
    "SODIUM": ("mmol/L", 100, 180, (137, 143)),
    "URATE": ("umol/L", 30, 1500, (230, 400)),
    "BASO": ("10^9/L", 0, 5, (0.01, 0.07)),
    "EOS": ("10^9/L", 0, 20, (0.08, 0.3)),
    "HCT": ("fraction", 0.1, 0.75, (0.37, 0.46)),
    "HGB": ("mmol/L", 2, 15, (7.9, 9.4)),
    "LYM": ("10^9/L", 0, 50, (1.2, 2.4)),
    "MCH": ("fmol", 0.5, 4, (1.75, 2)),
    "MCHC": ("mmol/L", 10, 35, (19.8, 21.5)),
    "MCV": ("fL", 40, 150, (86, 96)),
    "MONO": ("10^9/L", 0, 20, (0.3, 0.6)),
    "PLAT": ("10^9/L", 5, 2500, (190, 300)),
    "RBC": ("10^12/L", 1, 10, (4.1, 5)),
    "WBC": ("10^9/L", 0.1, 200, (5, 8.5)),
}


_LAB_RANGES = {
    f"lab__{name}": Plausible(unit=unit, low=low, high=high, typical=typical)
    for name, (unit, low, high, typical) in _LABS.items()
}


def write_cdisc(data: Path, out: Path, seed: int) -> None:
    """Write the trial's sites, one client each.

    Raises:
        InputError: if its table is missing or has other columns.
    """
    columns = ["USUBJID", "SITEID", *_CLINICAL, *_CATEGORIES, *_LAB_RANGES]
    path = data / "cdisc_pilot_tox" / "toxicity_multilabel.csv"
    table = read_public(path, columns, text=["USUBJID", "SITEID"]).set_index("USUBJID")
    events = [column for column in table.columns if column.startswith("ae__")]
    labels = tuple(column for column in events if table[column].sum() >= LEAST_EVENTS)
    levels = {column: frequent(table[column], LEAST_EVENTS) for column in _CATEGORIES}
    for column, names in levels.items():
        table[column] = as_levels(table[column], names)
    modalities = [
        Modality(
            name="clinical", node="clinical", columns=tuple(_CLINICAL), categories=levels, ranges=_CLINICAL
        ),
        Modality(name="labs", node="clinical", columns=tuple(_LAB_RANGES), ranges=_LAB_RANGES),
    ]
    site = "site " + table["SITEID"]
    table[FOLD] = hold_out(list(site), seed)
    cohort = SourcePatients(site, table[[*labels, FOLD]], {"clinical": table, "labs": table})
    task = ToxicityTask(name="toxicity", labels=labels)
    write_patients(out, "cdisc", cohort, modalities, [task], minimum_patients=SMALLEST)
