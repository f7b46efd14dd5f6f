"""A hospital's cohort: how its site folder says where it is, what it is in memory, and what may be told of it.

A site folder holds `site.toml`, one table per modality (CSV or Parquet, one row per patient) and one of outcomes.
"""

import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from client.device import ASKED, Precision
from client.policy import Policy
from common.batch import PatientBatch
from common.errors import InputError
from common.federation import Federation
from common.schema import ResponseTask, SurvivalTask

SITE_FILE = "site.toml"
OUTCOMES = "outcomes"


class SiteFile(BaseModel):
    """`site.toml`: the hospital's own names for what the federation file asks for.

    `tables` maps `outcomes` and modality names to files in the folder; a modality without a table is absent
    at this site. `columns` maps, per table, the federation's column to the hospital's where they differ.
    `fold` and `group` name optional columns of outcomes: a published held-out fold, and a subgroup to report.
    `approved` is the hash of the federation file this hospital agreed to. `policy` is what this hospital allows.
    `device`, `deterministic` and `precision` say where and how this hospital trains: see `client.device`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    id: str = "patient"
    tables: dict[str, str]
    columns: dict[str, dict[str, str]] = {}
    fold: str | None = None
    group: str | None = None
    approved: str | None = None
    policy: Policy = Policy()
    device: str = Field(default="auto", pattern=ASKED)
    deterministic: bool = False
    precision: Precision = "float32"


@dataclass(frozen=True)
class Cohort:
    """A site's patients, without identifiers.

    Attributes:
        site: the site's name.
        batch: P patients in the order of the outcomes table.
        fold: [P] long, the fold in which a patient is held out; -1 where none is given.
        group: subgroup of each patient; the site's name where none is given.
        unmatched: modality -> rows whose patient has no outcomes row; they are left out.
    """

    site: str
    batch: PatientBatch
    fold: Tensor
    group: tuple[str, ...]
    unmatched: dict[str, int]


def parse_site_file(folder: Path) -> SiteFile:
    """Read `site.toml` on its own, whatever the federation asks for.

    Raises:
        InputError: if it cannot be read or breaks the schema.
    """
    path = folder / SITE_FILE
    try:
        return SiteFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(str(path), "there is no such file", "name a site folder") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        what = f"cannot be read as TOML ({type(error).__name__})"
        raise InputError(str(path), what, "correct it") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}, {place}", first["msg"], "correct it") from None


def read_site_file(folder: Path, federation: Federation) -> SiteFile:
    """Read `site.toml` and check it against the federation file.

    Raises:
        InputError: if it cannot be read, breaks the schema, approves another federation file, or asks for a precision
            in which the federation's privacy would not hold.
    """
    path, site = folder / SITE_FILE, parse_site_file(folder)
    known = {OUTCOMES: {column for task in federation.tasks for column in task.columns}}
    known |= {modality.name: {*modality.columns, *modality.categories} for modality in federation.modalities}
    if OUTCOMES not in site.tables:
        raise InputError(f"{path}, tables", "there is no outcomes table", 'add outcomes = "FILE"')
    for table in (*site.tables, *site.columns):
        if table not in known:
            what = "is not a table of the federation file"
            raise InputError(f"{path}, {table}", what, "remove or rename it")
    for table, own in site.columns.items():
        if unknown := set(own) - known[table]:
            what = "is not a column of the federation file"
            raise InputError(f"{path}, columns.{table}.{min(unknown)}", what, "remove or rename it")
    if site.approved is not None and site.approved != federation.digest:
        raise InputError(
            f"{path}, approved",
            "the federation file is not the one this hospital approved",
            "review the new federation file and approve its hash",
        )
    if site.precision != "float32" and federation.privacy is not None:
        what = f"{site.precision} is too coarse for gradients that privacy clips exactly"
        raise InputError(f"{path}, precision", what, 'set it to "float32", or remove it')
    return site


def read_cohort(folder: Path, federation: Federation) -> Cohort:
    """Read and validate a site folder.

    Raises:
        InputError: with the first problem found; nothing is returned by half.
    """
    cohort, problems = inspect_cohort(folder, federation)
    if problems:
        raise problems[0]
    assert cohort is not None
    return cohort


def inspect_cohort(folder: Path, federation: Federation) -> tuple[Cohort | None, list[InputError]]:
    """Read a site folder and list every problem in it; the cohort is None if outcomes cannot be read.

    Raises:
        InputError: if `site.toml` itself is not usable.
    """
    from client.reading import read_folder  # brings pandas, which a site opened from its cache is spared

    return read_folder(folder, read_site_file(folder, federation), federation)


def passport(cohort: Cohort, federation: Federation) -> dict[str, object]:
    """What a hospital sees of its own cohort: counts only, no value of a patient.

    Returns:
        patients; per task the labelled patients (and events, or count per class or label); per modality the
        patients with it, the share of cells missing among them, and rows without an outcomes row.
    """
    batch = cohort.batch
    tasks: dict[str, object] = {}
    for task in federation.tasks:
        labels, known = batch.labels[task.name], batch.labelled[task.name]
        counts: dict[str, int] = {"labelled": int(known.any(1).sum())}
        if isinstance(task, SurvivalTask):
            counts["events"] = int(labels[:, 1].sum())
        elif isinstance(task, ResponseTask):
            tally = Counter(labels[known[:, 0], 0].long().tolist())
            counts |= {name: tally[index] for index, name in enumerate(task.classes)}
        else:
            counts |= {name: int(labels[:, index].sum()) for index, name in enumerate(task.labels)}
        tasks[task.name] = counts
    modalities: dict[str, object] = {}
    for modality in federation.modalities:
        here = batch.present(modality.name)
        observed = batch.observed[modality.name][here]
        modalities[modality.name] = {
            "patients": int(here.sum()),
            "missing": float(1 - observed.float().mean()) if len(observed) else 1.0,
            "unmatched": cohort.unmatched.get(modality.name, 0),
        }
    return {"site": cohort.site, "patients": len(batch), "tasks": tasks, "modalities": modalities}
