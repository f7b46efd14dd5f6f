"""Two cohorts of FLamby with their published splits: fold 0 holds the test patients.

du Terrail et al., NeurIPS Datasets and Benchmarks 2022.
"""

from pathlib import Path

from common.agreement.modalities import Modality, Plausible
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from simulations.cohorts.patients import FOLD, SourcePatients, as_levels, read_public, write_patients

CENTERS = ("Northeast", "South", "West", "Midwest", "Europe", "Canada")
"""Fed-TCGA-BRCA's regions in the order of their numbers."""


_NOT_FEATURES = {"pid", "event", "time_days", "split", "center", "tss"}


_TEST, _TRAIN = 0, -1


def write_fed_tcga_brca(data: Path, out: Path) -> None:
    """Write Fed-TCGA-BRCA: 1,088 patients of six regions, 39 clinical features, survival.

    Raises:
        InputError: if its table is missing or has other columns.
    """
    path = data / "flamby_tcga_brca" / "fed_tcga_brca.csv.gz"
    table = read_public(path, [*sorted(_NOT_FEATURES), "age_at_index"], text=["pid", "tss"]).set_index("pid")
    features = tuple(column for column in table.columns if column not in _NOT_FEATURES)
    clinical = Modality(
        name="clinical",
        node="clinical",
        columns=features,
        plausible=Plausible(unit="no/yes", low=0, high=1),
        ranges={"age_at_index": Plausible(unit="years", low=0, high=120, typical=(45, 75))},
    )
    survival = SurvivalTask(
        name="survival", time="time_days", event="event", unit="days", longest=20000, typical=(400, 2500)
    )
    table[FOLD] = table["split"].map({"test": _TEST, "train": _TRAIN})
    cohort = SourcePatients(
        table["center"].map(dict(enumerate(CENTERS))),
        table[["time_days", "event", FOLD]],
        {"clinical": table},
    )
    write_patients(out, "fed-tcga-brca", cohort, [clinical], [survival])


_HEART_RANGES = {
    "age": Plausible(unit="years", low=18, high=110, typical=(45, 65)),
    "trestbps": Plausible(unit="mmHg", low=50, high=300, typical=(110, 150)),
    "chol": Plausible(unit="mg/dl", low=50, high=1000, typical=(180, 280)),
    "thalach": Plausible(unit="beats per minute", low=30, high=250, typical=(120, 170)),
    "oldpeak": Plausible(unit="mm ST depression", low=-10, high=15, typical=(0, 2)),
}


_HEART_LEVELS = {
    "sex": ("0", "1"),
    "cp": ("1", "2", "3", "4"),
    "fbs": ("0", "1"),
    "restecg": ("0", "1", "2"),
    "exang": ("0", "1"),
}


def write_fed_heart(data: Path, out: Path) -> None:
    """Write Fed-Heart-Disease: 740 patients of four hospitals, disease yes or no.

    Raises:
        InputError: if its table is missing or has other columns.
    """
    columns = [*_HEART_RANGES, *_HEART_LEVELS, "center_name", "split", "label"]
    table = read_public(data / "flamby_heart" / "fed_heart_disease.csv", columns)
    table.index = [f"heart-{number:03d}" for number in range(len(table))]
    # A pressure or a cholesterol of zero is how these hospitals wrote "not measured".
    for column in ("trestbps", "chol"):
        table[column] = table[column].where(table[column] > 0)
    for column, levels in _HEART_LEVELS.items():
        table[column] = as_levels(table[column], levels)
    clinical = Modality(
        name="clinical",
        node="clinical",
        columns=tuple(_HEART_RANGES),
        categories=_HEART_LEVELS,
        ranges=_HEART_RANGES,
    )
    disease = ResponseTask(name="disease", label="label", classes=("0", "1"))
    table[FOLD] = table["split"].map({"test": _TEST, "train": _TRAIN})
    cohort = SourcePatients(table["center_name"], table[["label", FOLD]], {"clinical": table})
    write_patients(out, "fed-heart", cohort, [clinical], [disease])
