"""`site.toml`, validated against the federation file."""

import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import normpath
from typing import Annotated, Literal, Self, TypeVar
from unicodedata import category

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from client.rules.declaration import IntakeRules, TableIntake, TableRules
from client.site_folder.policy import Policy
from common.agreed import HospitalName
from common.agreement.agreement import Agreement
from common.errors import ApprovalError, InvalidContentError, MissingFileError
from common.reading.toml_file import TomlFile, read_toml

SITE_FILE = "site.toml"


Precision = Literal["float32", "bfloat16"]


ASKED = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
"""Pattern of a device's name; `cuda` is `cuda:0`."""


def _device(name: str) -> str:
    if ASKED.fullmatch(name) is None:
        raise ValueError("is no device: write auto, cpu, cuda or cuda:1")
    return name


class SiteFile(BaseModel):
    """`site.toml`: the hospital's own names for what the federation file asks for.

    `tables` maps `outcomes` and modality names to files in the folder; a modality without a table is absent
    at this site. `columns` maps, per table, the federation's column to the hospital's where they differ.
    `fold`, `group` and `date` name optional columns of outcomes: a published held-out fold, a subgroup to report, and a
    date by which `consilium validate` chooses later patients; dates are read by it alone, and never leave.
    `approved` is the hash of the federation file this hospital agreed to. `policy` is what this hospital allows.
    `intake` has the rules by which tables become what the federation file asks for: see `client.rules.declaration`.
    `device`, `deterministic` and `precision` say where and how this hospital trains: see `client.training.device`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: HospitalName
    id: str = "patient"
    tables: dict[str, str]
    columns: dict[str, dict[str, str]] = {}
    fold: str | None = None
    group: str | None = None
    date: str | None = None
    approved: str | None = None
    policy: Policy = Policy()
    intake: IntakeRules = IntakeRules()
    device: Annotated[str, AfterValidator(_device)] = "auto"
    deterministic: bool = False
    precision: Precision = "float32"

    def rules_of(self, table: str) -> TableRules:
        """Return the rules of intake of a table."""
        return TableRules(table, self.intake, self.intake.tables.get(table, TableIntake()))

    def identifier_of(self, table: str) -> str:
        """Return a table's column of patient identifiers."""
        return self.rules_of(table).declared.id or self.id

    def source_of(self, table: str, column: str = "") -> str:
        """Return the hospital's file, and its column, behind a name of the federation file."""
        file = normpath(self.tables.get(table, f"no {table}"))
        return f"{file}: {self.columns.get(table, {}).get(column, column)}" if column else file

    @model_validator(mode="after")
    def _commands_no_terminal(self) -> Self:
        for path, text in _texts(self.model_dump()):
            if text != "\t" and any(category(sign) in _INVISIBLE for sign in text):
                raise ValueError(f"{path} has a control or format character{_ESCAPED}")
        return self


_ESCAPED = r" (between double quotes, \t and \n are no backslash and a letter: write / instead)"

_INVISIBLE = ("Cc", "Cf", "Zl", "Zp")
"""Categories of characters that a terminal obeys or hides. A no-break space, as tables have it, is none."""


def _texts(data: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Pairs (key, text) of all texts and keys."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield path or "a key", key
            yield from _texts(value, path or key)
    elif isinstance(data, tuple):
        for value in data:
            yield from _texts(value, path)


def site_toml(folder: Path) -> TomlFile:
    """Read `site.toml` as it stands, without its schema.

    Raises:
        InputError: if it cannot be read or is no TOML.
    """
    path = folder / SITE_FILE
    return read_toml(path, MissingFileError(str(path), "there is no such file", "name a site folder"))


def parse_site_file(folder: Path) -> SiteFile:
    """Read `site.toml` on its own, whatever the federation asks for.

    Raises:
        InputError: if it cannot be read or breaks the schema.
    """
    return validated(site_toml(folder), SiteFile)


F = TypeVar("F", bound=SiteFile)


def validated(file: TomlFile, schema: type[F]) -> F:
    """Check the content of a `site.toml` by a schema.

    Files that rules of intake name get their whole paths.

    Raises:
        InputError: if it breaks the schema.
    """
    try:
        site = schema.model_validate(file.data)
    except ValidationError as error:
        raise file.invalid(error) from None
    return site.model_copy(update={"intake": site.intake.located(file.path.parent)})


def read_site_file(folder: Path, federation: Agreement) -> SiteFile:
    """Read `site.toml` and check it against the federation file.

    Raises:
        InputError: if it cannot be read, breaks the schema, approves another federation file, or asks for a precision
            in which the federation's privacy would not hold.
    """
    file = site_toml(folder)
    site = validated(file, SiteFile)
    require_agreement(site, file, federation)
    return site


def require_agreement(
    site: SiteFile, file: TomlFile, federation: Agreement, needs_tables: bool = True
) -> None:
    """Check the content of a `site.toml` against the federation file.

    Raises:
        InputError: as `read_site_file`; the error names a line of `file`.
    """
    tables = federation.tables
    for table in federation.required_tables if needs_tables else ():
        if table not in site.tables:
            where, what = file.where("tables"), f"there is no {table} table"
            raise InvalidContentError(where, what, f'add {table} = "FILE"')
    for key, named in (
        ("tables", site.tables),
        ("columns", site.columns),
        ("intake", site.intake.tables),
    ):
        for table in named:
            if table not in tables:
                what = "is not a table of the federation file"
                remedy = f"remove it, or rename it to one of {', '.join(sorted(tables))}"
                raise InvalidContentError(file.where(key, table), what, remedy)
    for table, declared in site.intake.tables.items():
        if unknown := set(declared.columns) - tables[table]:
            where = file.where("intake", table, "columns", min(unknown))
            what = "is not a column of the federation file"
            raise InvalidContentError(where, what, "remove it, or name the federation file's column")
    for table, renamed in site.columns.items():
        if unknown := set(renamed) - tables[table]:
            what = "is not a column of the federation file"
            where = file.where("columns", table, min(unknown))
            raise InvalidContentError(where, what, "remove or rename it")
    if site.approved is not None and site.approved != federation.digest:
        raise ApprovalError(
            file.where("approved"),
            "the federation file is not the one this hospital approved",
            "review the new federation file and approve its hash",
        )
    if site.precision != "float32" and federation.privacy is not None:
        what = f"{site.precision} is too coarse for gradients that privacy clips exactly"
        raise InvalidContentError(file.where("precision"), what, 'set it to "float32", or remove it')
