"""A federation file of any kind of record, read with its public files."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from common.agreed import Agreed
from common.agreement.agreement import FILE_NAME, PATIENTS, Agreement, validated
from common.agreement.kinds import agreement_class
from common.agreement.settings import PublicFile
from common.errors import (
    IntegrityError,
    InvalidContentError,
    MissingFileError,
    UnreadableFileError,
    invalid_content,
)
from common.plugins.loading import load_plugins, package_of
from common.plugins.names import package_of_name
from common.plugins.plugin import Plugin


def load_agreement(path: Path) -> Agreement:
    """Read a federation file and check the public files it names.

    Raises:
        InputError: if it cannot be read, is of an unknown kind, does not follow that kind's schema, or a named file
            has other content.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(
            str(path), "there is no such file", f"name a folder that holds {FILE_NAME}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFileError(
            str(path), f"cannot be read as TOML ({type(error).__name__})", "correct it"
        ) from None
    plugins = _plugins(data, str(path))
    load_plugins(plugins)
    kind = data.get("kind", PATIENTS)
    agreement = validated(agreement_class(kind if isinstance(kind, str) else "", str(path)), data, str(path))
    _require_named(agreement, str(path))
    for file in agreement.public_files:
        if not (path.parent / file.path).is_file():
            raise MissingFileError(str(path.parent / file.path), "is missing", "copy it from the coordinator")
        if PublicFile.of(path.parent, file.path).sha256 != file.sha256:
            raise IntegrityError(
                str(path.parent / file.path),
                "is not the file agreed on",
                "copy it from the coordinator again",
            )
    return agreement


def _plugins(data: dict[str, Any], where: str) -> tuple[Plugin, ...]:
    """Return the plug-ins of a federation file, read before the rest.

    They decide which kinds the rest may name.
    """
    try:
        return _PLUGINS.validate_python(data.get("plugins", ()))
    except ValidationError as error:
        raise invalid_content(f"{where}, plugins", error) from None


_PLUGINS = TypeAdapter(tuple[Plugin, ...])


def _require_named(agreement: Agreement, where: str) -> None:
    """Refuse a kind from a plug-in that is imported here but missing in the file."""
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
            raise InvalidContentError(where, what, remedy)


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
