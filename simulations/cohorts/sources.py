"""Built-in cohort sources, and the one call that writes a cohort by name.

Modules of sources are imported when a cohort is written: the command line must start quickly.
"""

import os
from pathlib import Path

from common.errors import MissingFileError, OptionError
from simulations.cohorts.registry import CohortRequest, CohortSource, register_source, source_of, sources

DATA_VARIABLE = "CONSILIUM_DATA"


def default_data() -> Path | None:
    """Folder of public data: $CONSILIUM_DATA, else `shared/data` beside the repository, or None."""
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named)
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    return beside if beside.is_dir() else None


def cohort_sources() -> tuple[CohortSource, ...]:
    """List all cohort sources, the built-in ones first."""
    return sources()


def is_known(cohort: str) -> bool:
    """Return whether this is the name of a cohort; a folder of that name is called `./NAME`.

    A name that no source has is looked for among those of installed plug-ins, unless it is a folder's.

    Raises:
        InputError: if an installed plug-in is not whole.
    """
    if not any(source.has(cohort) for source in sources()) and not Path(cohort).exists():
        from common.plugins.loading import load_installed

        load_installed()
    return any(source.has(cohort) for source in sources())


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
        cohort: a name that a source knows.
        data: folder of public data, for sources that need it.
        out: an empty or new folder.
        seed: of the folds where none are published, and of made-up patients.
        hospitals: number of hospitals, for sources that can make any number.
        patients: the same, of each hospital.

    Raises:
        InputError: for an unknown cohort, an occupied `out`, data that are missing or have other columns, or a size
            for a cohort that has its own.
    """
    if (hospitals or patients) and not (is_known(cohort) and source_of(cohort).is_sizable):
        names = " or ".join(f"`{source.name}`" for source in sources() if source.is_sizable)
        what = "are numbers of synthetic hospitals"
        raise OptionError("--hospitals and --patients", what, f"use them with the cohort {names}")
    source = source_of(cohort)
    request = CohortRequest(cohort, _data(source, cohort, data), seed, hospitals, patients)
    source.write(request, out)


def _data(source: CohortSource, cohort: str, data: Path | None) -> Path | None:
    """The folder of public data, if the source needs it."""
    if not source.needs_data:
        return None
    if data is None:
        raise OptionError(
            f"cohort {cohort}", "needs the public data", f"name their folder: --data or {DATA_VARIABLE}"
        )
    if not data.is_dir():
        raise MissingFileError(str(data), "there is no such folder", f"correct --data or {DATA_VARIABLE}")
    return data


def _write_synthetic(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.synthetic import write_synthetic

    size = {"sites": request.hospitals, "patients": request.patients}
    write_synthetic(out, seed=request.seed, **{name: number for name, number in size.items() if number})


def _write_lung(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.lung import write_lung

    write_lung(out, request.seed)


def _write_fed_heart(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.flamby import write_fed_heart

    write_fed_heart(request.folder, out)


def _write_fed_tcga_brca(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.flamby import write_fed_tcga_brca

    write_fed_tcga_brca(request.folder, out)


def _write_ici(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.ici import write_ici

    write_ici(request.folder, out, request.seed)


def _write_cdisc(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.cdisc import write_cdisc

    write_cdisc(request.folder, out, request.seed)


def _write_tcga(request: CohortRequest, out: Path) -> None:
    from simulations.cohorts.tcga import write_tcga

    write_tcga(request.folder, out, request.name.removeprefix("tcga-"))


register_source(
    "synthetic",
    _write_synthetic,
    summary="made-up patients of any number of hospitals, with a known truth",
    is_sizable=True,
)
register_source("lung", _write_lung, summary="228 patients with lung cancer, ten hospitals")
register_source(
    "fed-heart", _write_fed_heart, summary="740 patients, heart disease, four hospitals", needs_data=True
)
register_source(
    "fed-tcga-brca",
    _write_fed_tcga_brca,
    summary="1,088 patients with breast cancer, six regions",
    needs_data=True,
)
register_source(
    "ici", _write_ici, summary="2,881 patients under immunotherapy, five institutions", needs_data=True
)
register_source("cdisc", _write_cdisc, summary="254 patients of a trial, 17 sites", needs_data=True)
register_source(
    "tcga-CANCER",
    _write_tcga,
    summary="a cancer folder of the data, such as tcga-brca, or five of them, tcga-pan5",
    needs_data=True,
    pattern=r"tcga-[A-Za-z0-9_]+",
)
