"""A federation file of any kind of record, read with its public files."""

import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from common.agreed import Agreed
from common.agreement.agreement import FILE_NAME, PATIENTS, Agreement
from common.agreement.faults import error_of, schema_faults
from common.agreement.kinds import agreement_class
from common.agreement.prior_graph import PublicFile
from common.errors import (
    InputError,
    IntegrityError,
    InvalidContentError,
    MissingFileError,
)
from common.plugins.loading import load_plugins, package_of
from common.plugins.names import package_of_name
from common.plugins.plugin import Plugin
from common.reading.toml_file import TomlFile, read_toml


def load_agreement(path: Path) -> Agreement:
    """Read a federation file and check the public files it names.

    Raises:
        InputError: if it cannot be read, is of an unknown kind, does not follow that kind's schema, or a named file
            has other content.
    """
    file = read_file(path)
    agreement, faults = schema_faults(file, schema_of(file))
    if agreement is None:
        raise error_of(faults, f"consilium federation check {shlex.quote(str(path))}")
    for error in content_errors(agreement, path):
        raise error
    return agreement


def read_file(path: Path) -> TomlFile:
    """Read the text of a federation file.

    Raises:
        InputError: if it cannot be read or is no TOML.
    """
    remedy = f"name a folder that holds {FILE_NAME}"
    return read_toml(path, MissingFileError(str(path), "there is no such file", remedy))


def schema_of(file: TomlFile) -> type[Agreement]:
    """Return the schema of a file's kind, with the plug-ins that the file names imported.

    Raises:
        InputError: if a plug-in is not as the file says, or nothing brings the kind.
    """
    load_plugins(_plugins(file))
    kind = file.data.get("kind", PATIENTS)
    return agreement_class(kind if isinstance(kind, str) else "", str(file.path))


def content_errors(agreement: Agreement, path: Path) -> Iterator[InputError]:
    """Errors of a file that follows its schema: plug-ins without a name, and public files."""
    yield from _unnamed(agreement, str(path))
    for public in agreement.public_files:
        where = str(path.parent / public.path)
        if not (path.parent / public.path).is_file():
            yield MissingFileError(where, "is missing", "copy it from the coordinator")
        elif PublicFile.of(path.parent, public.path).sha256 != public.sha256:
            yield IntegrityError(where, "is not the file agreed on", "copy it from the coordinator again")


def _plugins(file: TomlFile) -> tuple[Plugin, ...]:
    """Return the plug-ins of a federation file, read before the rest.

    They decide which kinds the rest may name.
    """
    try:
        return _NAMED.validate_python(file.data).plugins
    except ValidationError as error:
        raise file.invalid(error) from None


class _Named(BaseModel):
    """Plug-ins among the keys of a federation file."""

    plugins: tuple[Plugin, ...] = ()


_NAMED = TypeAdapter(_Named)


def _unnamed(agreement: Agreement, where: str) -> Iterator[InputError]:
    """Errors of parts from a plug-in that is imported here but missing in the file."""
    named = {plugin.package for plugin in agreement.plugins}
    used: dict[str, str | None] = {}
    for section in (agreement, *_parts(agreement)):
        used[type(section).__name__] = package_of(type(section).__module__)
        for part, name in section.registered_names():
            used[f"the {part} {name}"] = package_of_name(part, name)
    for used_part, package in used.items():
        if package is not None and package not in named:
            what = f"uses {used_part} of the plug-in {package} without naming it"
            remedy = "add the lines that `consilium plugins` prints, and have every hospital approve the file"
            yield InvalidContentError(where, what, remedy)


def _parts(data: object) -> Iterator[Agreed]:
    """Every section of an agreement, at any depth."""
    inside: Iterable[object] = ()
    if isinstance(data, Agreed):
        inside = (value for _, value in data)
    elif isinstance(data, dict):
        inside = data.values()
    elif isinstance(data, tuple):
        inside = data
    for value in inside:
        if isinstance(value, Agreed):
            yield value
        yield from _parts(value)
