"""The cohorts by name. Each is imported when asked for: the command line must start quickly."""

import os
import re
from pathlib import Path

from common.errors import InputError

NAMES = (
    "synthetic",
    "lung",
    "fed-heart",
    "fed-tcga-brca",
    "ici",
    "cdisc",
    "tcga-pan5",
    "tcga-CANCER (any cancer folder of the data, such as tcga-brca)",
)


DATA_VARIABLE = "CONSILIUM_DATA"


_TCGA = re.compile(r"tcga-[A-Za-z0-9_]+")


def default_data() -> Path | None:
    """The folder of public data: $CONSILIUM_DATA, else the `shared/data` beside the repository, else None."""
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named)
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return beside if beside.is_dir() else None


def is_known(cohort: str) -> bool:
    """Whether this is a cohort's name; a folder of that name is called `./NAME`."""
    return cohort in NAMES or _TCGA.fullmatch(cohort) is not None


def write_cohort(
    cohort: str,
    data: Path | None,
    out: Path,
    seed: int = 0,
    hospitals: int | None = None,
    patients: int | None = None,
) -> None:
    """Write a cohort's site folders and federation file.

    Args:
        cohort: one of NAMES.
        data: folder of public data; `synthetic` and `lung` need none.
        out: an empty or new folder.
        seed: of the folds where none are published, and of the synthetic patients.
        hospitals: of `synthetic`, the one cohort that is made to measure.
        patients: the same, of each hospital.

    Raises:
        InputError: for an unknown cohort, an occupied `out`, data that are missing or have other columns, or a size
            for another cohort than `synthetic`.
    """
    size = {name: number for name, number in (("sites", hospitals), ("patients", patients)) if number}
    if size and cohort != "synthetic":
        what = "are numbers of synthetic hospitals"
        raise InputError("--hospitals and --patients", what, "use them with the cohort `synthetic`")
    if cohort == "synthetic":
        from simulations.cohorts.synthetic import write_synthetic

        write_synthetic(out, seed=seed, **size)
    elif cohort == "lung":
        from simulations.cohorts.lung import write_lung

        write_lung(out, seed)
    elif cohort in ("fed-heart", "fed-tcga-brca"):
        from simulations.cohorts.flamby import write_fed_heart, write_fed_tcga_brca

        write = write_fed_heart if cohort == "fed-heart" else write_fed_tcga_brca
        write(_needed(data, cohort), out)
    elif cohort == "ici":
        from simulations.cohorts.ici import write_ici

        write_ici(_needed(data, cohort), out, seed)
    elif cohort == "cdisc":
        from simulations.cohorts.cdisc import write_cdisc

        write_cdisc(_needed(data, cohort), out, seed)
    elif _TCGA.fullmatch(cohort):
        from simulations.cohorts.tcga import write_tcga

        write_tcga(_needed(data, cohort), out, cohort.removeprefix("tcga-"))
    else:
        raise InputError(f"cohort {cohort}", "is not known", f"use one of {', '.join(NAMES)}, or a folder")


def _needed(data: Path | None, cohort: str) -> Path:
    if data is None:
        raise InputError(
            f"cohort {cohort}", "needs the public data", f"name their folder: --data or {DATA_VARIABLE}"
        )
    if not data.is_dir():
        raise InputError(str(data), "there is no such folder", f"correct --data or {DATA_VARIABLE}")
    return data
