"""Immunotherapy response by institution: 2,881 patients of nine cohorts, clinical and blood.

Chang et al., Nature Cancer 2024 (LORIS).
"""

from pathlib import Path

import pandas as pd

from common.agreement.modalities import Modality, Plausible
from common.tasks.response import ResponseTask
from simulations.cohorts.patients import (
    FOLD,
    GROUP,
    SourcePatients,
    as_levels,
    frequent,
    hold_out,
    read_public,
    write_patients,
)

LEAST_PER_CANCER = 20
"""Cancer types of fewer patients are one level, `other`."""


_CLINICAL = {
    "Age": Plausible(unit="years", low=0, high=120, typical=(50, 75)),
    "BMI": Plausible(unit="kg/m2", low=8, high=100, typical=(22, 31)),
    "Performance_status": Plausible(unit="ECOG grade", low=0, high=5, typical=(0, 1)),
}


_YES_NO = ("0", "1")


_LEVELS = {
    "Sex": _YES_NO,
    "Stage": _YES_NO,
    "Drug": ("0", "1", "2"),
    "Systemic_therapy_history": _YES_NO,
    "Smoking_status": _YES_NO,
    "MSI": _YES_NO,
    "HLA_LOH": _YES_NO,
}


_BLOOD = {
    "TMB": Plausible(unit="mutations/Mb", low=0, high=1000, typical=(2, 15)),
    "PDL1_TPS": Plausible(unit="percent", low=0, high=100, typical=(0, 60)),
    "Albumin": Plausible(unit="g/dL", low=0.5, high=7, typical=(3.4, 4.4)),
    "NLR": Plausible(unit="ratio", low=0, high=200, typical=(2, 8)),
    "Platelets": Plausible(unit="10^9/L", low=1, high=2500, typical=(170, 330)),
    "HGB": Plausible(unit="g/dL", low=2, high=25, typical=(10, 14)),
    "HED": Plausible(unit="mean Grantham distance", low=0, high=30),
    "FCNA": Plausible(unit="fraction of the genome", low=0, high=1, typical=(0.05, 0.45)),
}


_RESPONSE = ResponseTask(name="response", label="Response", classes=_YES_NO)


def write_ici(data: Path, out: Path, seed: int) -> None:
    """Write the five institutions of the immunotherapy cohort.

    Raises:
        InputError: if its table is missing or has other columns.
    """
    columns = ["patient", "institution", "cohort", "CancerType", "Response", *_CLINICAL, *_LEVELS, *_BLOOD]
    table = read_public(data / "loris_ici" / "ici_response.csv.gz", columns).set_index("patient")
    _drop_filled_in(table)
    levels = dict(_LEVELS)
    cancers = frequent(table["CancerType"], LEAST_PER_CANCER)
    rare = not table["CancerType"].dropna().isin(cancers).all()
    levels["CancerType"] = (*cancers, "other") if rare else cancers
    for column, names in levels.items():
        table[column] = as_levels(table[column], names, "other" if column == "CancerType" and rare else None)
    clinical = Modality(
        name="clinical", node="clinical", columns=tuple(_CLINICAL), categories=levels, ranges=_CLINICAL
    )
    blood = Modality(
        name="blood", node="clinical", columns=tuple(_BLOOD), ranges=_BLOOD, transform="signed_log"
    )
    table[FOLD] = hold_out([*zip(table["institution"], table["Response"], strict=True)], seed)
    table[GROUP] = table["cohort"]
    cohort = SourcePatients(
        table["institution"], table[["Response", FOLD, GROUP]], {"clinical": table, "blood": table}
    )
    write_patients(out, "ici", cohort, [clinical, blood], [_RESPONSE])


def _drop_filled_in(table: pd.DataFrame) -> None:
    """Empty blood values that all patients of a cohort share: they were filled in, not measured.

    Two cohorts carry one albumin and one neutrophil ratio for all their patients. Units agree between cohorts
    (medians of albumin 3.8-4.1 g/dL, haemoglobin 11-12 g/dL, platelets 209-256), so nothing is converted.
    """
    for column in _BLOOD:
        cells = table.groupby("cohort")[column]
        constant = (cells.transform("nunique") == 1) & (cells.transform("count") > 1)
        table[column] = table[column].mask(constant)
