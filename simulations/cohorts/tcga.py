"""TCGA by collecting hospital: survival from omics, clinical and pathology images.

The Cancer Genome Atlas open data; tables of Chen et al., Cancer Cell 2022 (RNA, copy number, mutation, folds)
and Diao et al., Nat Commun 2021 (pathology image features).
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from common.agreement.modalities import Modality, Plausible
from common.errors import InvalidContentError, OptionError
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from simulations.cohorts.patients import (
    FOLD,
    GROUP,
    SourcePatients,
    as_levels,
    frequent,
    read_public,
    read_public_parquet,
    write_patients,
)
from simulations.cohorts.prior import write_prior

RNA_SCALE = 1e4
"""RNA z-scores are stored as integers, times this."""


LEAST_PER_LEVEL = 10
"""A tumour type that fewer patients have is left empty."""


_CLINICAL_COLUMNS = (
    "cancer",
    "tss",
    "age",
    "is_female",
    "oncotree_code",
    "survival_months",
    "event",
    "val_fold",
)


_RESPONSE = {
    "Complete Remission/Response": "response",
    "Partial Remission/Response": "response",
    "Stable Disease": "no_response",
    "Progressive Disease": "no_response",
}


_SURVIVAL = SurvivalTask(
    name="survival", time="survival_months", event="event", unit="months", longest=600, typical=(8, 60)
)


@dataclass(frozen=True)
class _Assay:
    """Molecular or image table: its path under the data, and the form of its columns.

    Copy numbers say little for so many columns: neighbouring genes are gained and lost together.
    """

    file: str
    node: str
    unit: str
    low: float | None
    high: float | None
    measured_in: str = "any"
    divide_by: float = 1.0
    typical: tuple[float, float] | None = None
    strength: float | None = None


_ASSAYS = {
    # The z-scores' upper tail has no bound worth naming (above 36,000 for one gene of one patient).
    "rna": _Assay("tcga/{}/rnaseq_x1e4.parquet", "gene", "z-score", -100, None, "all", RNA_SCALE),
    "copy_number": _Assay("tcga/{}/cnv.parquet", "gene", "GISTIC level", -2, 2, "two", strength=1.0),
    "mutation": _Assay("tcga/{}/mut.parquet", "gene", "no/yes", 0, 1, "two"),
    "protein": _Assay(
        "tcga_rppa/{}_rppa.parquet", "protein", "log2 relative level", -30, 30, typical=(-0.7, 0.7)
    ),
    "imaging": _Assay("tcga_hif/{}_hif.parquet", "imaging", "as published", -1e9, 1e9),
}


def write_tcga(data: Path, out: Path, name: str) -> None:
    """Write one cancer (`brca`: clients are its hospitals) or a set (`pan5`: `hospital_pan5`).

    A set is made of every cancer whose patients have a hospital in the column of that name.

    Raises:
        InputError: if there is no such cancer, or a table is missing or has other columns.
    """
    many = re.fullmatch(r"pan\d+", name) is not None
    column = f"hospital_{name}" if many else "hospital"
    projects = sorted(path.parent.name for path in (data / "tcga").glob("*/clinical.csv"))
    if not many and name not in projects:
        remedy = f"use one of {', '.join(projects)}" if projects else "correct --data or CONSILIUM_DATA"
        raise OptionError(f"cohort tcga-{name}", "has no folder in the data's tcga", remedy)
    clinical = {cancer: _clinical(data, cancer, column, many) for cancer in (projects if many else [name])}
    clinical = {cancer: table for cancer, table in clinical.items() if not table.empty}
    if not clinical:
        raise InvalidContentError(
            f"{data / 'tcga'}, column {column}", "no cancer has it", "use the data this set is made of"
        )
    patients = pd.concat(clinical.values())
    modalities, tables = [_clinical_modality(patients, many)], {"clinical": patients}
    for assay in _ASSAYS:
        table = _assay_table(data, list(clinical), assay, patients.index)
        if table is not None:
            modalities.append(_assay_modality(assay, table))
            tables[assay] = table
    symbols = {
        column
        for modality in modalities
        if modality.node_kind.edges == "prior"
        for column in modality.columns
    }
    tasks, outcomes = _outcomes(data, patients, None if many else name)
    prior = write_prior(out, data / "prior_graph", symbols)
    write_patients(
        out, f"tcga-{name}", SourcePatients(patients[column], outcomes, tables), modalities, tasks, prior
    )


def _clinical(data: Path, cancer: str, hospital: str, many: bool) -> pd.DataFrame:
    """The clinical table of one cancer by patient, for patients with a hospital."""
    path = data / "tcga" / cancer / "clinical.csv"
    text = ("tss", "oncotree_code", "cancer", hospital)
    table = read_public(path, ["case_id", *_CLINICAL_COLUMNS, *([] if many else [hospital])], text=text)
    if hospital not in table:
        return table.iloc[:0]
    return table[table[hospital].notna()].set_index("case_id")


def _clinical_modality(patients: pd.DataFrame, many: bool) -> Modality:
    """The clinical modality; the patients' categorical columns become text in place."""
    categories: dict[str, tuple[str, ...]] = {"is_female": ("0", "1")}
    for column in ("oncotree_code", *(["cancer"] if many else [])):
        levels = frequent(patients[column], LEAST_PER_LEVEL)
        if len(levels) > 1:
            categories[column] = levels
    if many:
        patients[GROUP] = patients["cancer"]
    for column, levels in categories.items():
        patients[column] = as_levels(patients[column], levels)
    return Modality(
        name="clinical",
        node="clinical",
        columns=("age",),
        categories=categories,
        ranges={"age": Plausible(unit="years", low=0, high=120, typical=(45, 75))},
    )


def _assay_table(data: Path, cancers: Sequence[str], assay: str, patients: pd.Index) -> pd.DataFrame | None:
    """Table of this assay over all cancers; None with fewer than two columns.

    Of several cancers, RNA keeps genes measured in each that has RNA, and copy number and mutation, whose
    gene lists were chosen per cancer, genes measured in two or more: single-cancer genes would be missing
    for nearly everyone.
    """
    how = _ASSAYS[assay]
    tables = []
    for cancer in cancers:
        path = data / how.file.format(cancer)
        if path.exists():
            table = read_public_parquet(path, ["case_id"]).set_index("case_id")
            table = table[table.index.isin(patients)]
            if table.shape[1]:
                tables.append(table)
    least = {"any": 1, "two": min(2, len(cancers)), "all": len(tables)}[how.measured_in]
    measured = Counter(column for table in tables for column in table.columns)
    columns = [column for column, count in measured.items() if count >= least]
    if len(columns) < 2:
        return None
    joined = pd.concat([table[table.columns.intersection(columns)] for table in tables])[columns]
    # A table of integers without gaps stays small on disk as it is.
    small = how.divide_by == 1 and not joined.isna().any(axis=None)
    return joined if small else (joined / how.divide_by).astype("float32")


def _assay_modality(assay: str, table: pd.DataFrame) -> Modality:
    how = _ASSAYS[assay]
    return Modality.model_validate(
        {
            "name": assay,
            "node": how.node,
            "columns": tuple(table.columns),
            "plausible": Plausible(unit=how.unit, low=how.low, high=how.high, typical=how.typical),
            "transform": "signed_log" if assay == "imaging" else "none",
            "clip": (-5, 5) if assay == "rna" else None,
            "strength": how.strength,
            "scale": "none" if assay in ("copy_number", "mutation") else "standard",
        }
    )


def _outcomes(data: Path, patients: pd.DataFrame, cancer: str | None) -> tuple[list[Task], pd.DataFrame]:
    """Survival, and response to the first course of treatment where one cancer has it."""
    tasks: list[Task] = [_SURVIVAL]
    columns = ["survival_months", "event", *([GROUP] if GROUP in patients else [])]
    outcomes = patients[columns].assign(**{FOLD: patients["val_fold"]})
    path = data / "tcga_hif" / f"{cancer}_cdr.csv"
    if cancer is not None and path.exists():
        recorded = read_public(path, ["case_id", "treatment_outcome_first_course"]).drop_duplicates("case_id")
        answer = recorded.set_index("case_id")["treatment_outcome_first_course"].map(_RESPONSE)
        outcomes["response"] = answer.reindex(outcomes.index)
        tasks.append(ResponseTask(name="response", label="response", classes=("no_response", "response")))
    return tasks, outcomes
