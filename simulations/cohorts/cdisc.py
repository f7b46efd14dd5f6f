"""Adverse events of a real trial by trial site: 254 patients with Alzheimer's disease.

Xanomeline against placebo; the CDISC pilot submission's analysis data sets. Of its columns only those known
at baseline are features: discontinuation and its reasons are outcomes.
"""

from pathlib import Path

from common.schema import Modality, Plausible, ToxicityTask
from simulations.cohorts.patients import (
    FOLD,
    Patients,
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
    "AGE": Plausible(unit="years", low=18, high=120),
    "BMIBL": Plausible(unit="kg/m2", low=8, high=100),
    "HEIGHTBL": Plausible(unit="cm", low=100, high=230),
    "WEIGHTBL": Plausible(unit="kg", low=25, high=250),
    "EDUCLVL": Plausible(unit="years of education", low=0, high=40),
    "DURDIS": Plausible(unit="months of disease", low=0, high=600),
    "MMSETOT": Plausible(unit="MMSE points", low=0, high=30),
    "vital__DIABP": Plausible(unit="mmHg", low=20, high=160),
    "vital__PULSE": Plausible(unit="beats per minute", low=25, high=220),
    "vital__SYSBP": Plausible(unit="mmHg", low=50, high=280),
    "vital__TEMP": Plausible(unit="degrees Celsius", low=30, high=43),
}
_CATEGORIES = ("SEX", "RACE", "TRT01A")
# Unit and plausible range of each baseline laboratory value, in SI units as the trial reports them.
_LABS = {
    "ALB": ("g/L", 10, 70),
    "ALP": ("U/L", 5, 3000),
    "ALT": ("U/L", 1, 3000),
    "AST": ("U/L", 1, 3000),
    "BILI": ("umol/L", 0, 500),
    "BUN": ("mmol/L", 0.3, 60),
    "CA": ("mmol/L", 1, 4),
    "CHOL": ("mmol/L", 1, 25),
    "CK": ("U/L", 5, 20000),
    "CL": ("mmol/L", 60, 140),
    "CREAT": ("umol/L", 15, 1500),
    "GGT": ("U/L", 1, 3000),
    "GLUC": ("mmol/L", 1, 60),
    "K": ("mmol/L", 1.5, 9),
    "PHOS": ("mmol/L", 0.2, 4),
    "PROT": ("g/L", 30, 130),
    "SODIUM": ("mmol/L", 100, 180),
    "URATE": ("umol/L", 30, 1500),
    "BASO": ("10^9/L", 0, 5),
    "EOS": ("10^9/L", 0, 20),
    "HCT": ("fraction", 0.1, 0.75),
    "HGB": ("mmol/L", 2, 15),
    "LYM": ("10^9/L", 0, 50),
    "MCH": ("fmol", 0.5, 4),
    "MCHC": ("mmol/L", 10, 35),
    "MCV": ("fL", 40, 150),
    "MONO": ("10^9/L", 0, 20),
    "PLAT": ("10^9/L", 5, 2500),
    "RBC": ("10^12/L", 1, 10),
    "WBC": ("10^9/L", 0.1, 200),
}
_LAB_RANGES = {
    f"lab__{name}": Plausible(unit=unit, low=low, high=high) for name, (unit, low, high) in _LABS.items()
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
    cohort = Patients(site, table[[*labels, FOLD]], {"clinical": table, "labs": table})
    task = ToxicityTask(name="toxicity", labels=labels)
    write_patients(out, "cdisc", cohort, modalities, [task], minimum_patients=SMALLEST)
