"""Faults of a federation file by its schema, each with its line and a remedy."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from common.agreed import CLOSE, INCOHERENT
from common.agreement.agreement import Agreement
from common.agreement.keys import ANY, Key, keys_of, known_keys, schema_at
from common.errors import InputCode, InvalidContentError, escaped
from common.reading.objections import FORM, MISSING, TOO_FEW, UNKNOWN, Location, Objection, objections
from common.reading.toml_file import TomlFile

PASSES = 8
"""Times that a file is read again with what was found put right, to find what was hidden behind it."""


@dataclass(frozen=True)
class FileFault:
    """Thing in a federation file that keeps it from being used, or that somebody should know.

    Attributes:
        where: the file, its line and the key.
        line: of the key, or of the section that lacks it; None for what has no line.
        key: dotted, with positions in lists.
        what: is wrong.
        remedy: what to do.
        nearest: key that was probably meant; empty where there is none.
        allowed: keys that the section can have; empty unless a key is not known.
        code: kind of error.
    """

    where: str
    line: int | None
    key: str
    what: str
    remedy: str
    nearest: str = ""
    allowed: tuple[str, ...] = ()
    code: InputCode = InputCode.CONTENT_INVALID

    @property
    def text(self) -> str:
        """The fault as one sentence."""
        return f"{self.where}: {self.what}; {self.remedy}."


def schema_faults(file: TomlFile, schema: type[Agreement]) -> tuple[Agreement | None, list[FileFault]]:
    """Read a file by a schema, and find everything that the schema objects to.

    What has an obvious meaning is put right in memory and read again, so that a misspelt key hides no other fault.

    Returns:
        The agreement, None if there is a fault, and the faults by line.
    """
    reading = _Reading(file, schema)
    for _ in range(PASSES):
        try:
            agreement = schema.model_validate(reading.data)
        except ValidationError as error:
            if not reading.note(objections(error)):
                break
        else:
            return (None if reading.faults else agreement), reading.in_order
    return None, reading.in_order


def located(file: TomlFile, location: Location, what: str, remedy: str, code: InputCode) -> FileFault:
    """Make the fault of a value at a place in a file."""
    key = escaped(".".join(map(str, location)))
    return FileFault(escaped(file.where(*location)), file.line_of(location), key, what, remedy, code=code)


class _Reading:
    """Content of a file while it is read, and the faults that were found.

    Attributes:
        data: the content, with faults put right.
        faults: by location and sentence.
    """

    def __init__(self, file: TomlFile, schema: type[Agreement]) -> None:
        self.file, self.schema, self.data = file, schema, deepcopy(file.data)
        self.faults: dict[tuple[Location, str], FileFault] = {}
        self._renamed: dict[Location, Location] = {}
        self._dropped: set[Location] = set()

    @property
    def in_order(self) -> list[FileFault]:
        """The faults by line."""
        return sorted(self.faults.values(), key=lambda fault: (fault.line is None, fault.line or 0))

    def note(self, objected: Iterable[Objection]) -> bool:
        """Note objections, and put right what can be; False if nothing could be."""
        is_changed, dropped, objected = False, set(self._dropped), list(objected)
        inside = {part.location[:length] for part in objected for length in range(len(part.location))}
        for objection in objected:
            if objection.type == TOO_FEW and objection.location in inside:  # what is wrong is not counted
                continue
            location = self._in_file(objection.location)
            if objection.type == INCOHERENT and self._may_follow(objection.location, dropped):
                continue
            fault = self._fault(objection, location)
            if (location, fault.what) not in self.faults:
                self.faults[location, fault.what] = fault
                is_changed |= self._put_right(objection, fault)
        return is_changed

    def _in_file(self, location: Location) -> Location:
        """The location in the file of what was renamed in memory."""
        for length in range(len(location), 0, -1):
            if (before := self._renamed.get(location[:length])) is not None:
                return (*before, *location[length:])
        return location

    def _may_follow(self, location: Location, dropped: set[Location]) -> bool:
        """Whether a contradiction may be of a default in the place of a value that was dropped."""
        in_same_section = any(key[:-1] == location[: len(key) - 1] for key in dropped)
        is_across = len(location) < 3 or location[0] == "display_names"
        return in_same_section or (bool(dropped) and is_across)

    def _fault(self, objection: Objection, location: Location) -> FileFault:
        made = located(self.file, location, objection.what, objection.remedy, InputCode.CONTENT_INVALID)
        section, depth = schema_at(self.schema, self.data, objection.location[:-1])
        name = objection.location[-1] if objection.location else ""
        if section is None or depth < len(objection.location) - 1 or not isinstance(name, str):
            return made
        if objection.type == UNKNOWN:
            allowed = tuple(known_keys(section))
            return replace(
                made,
                what=f"is no key of {_heading(location[:-1])}",
                remedy=self._elsewhere(name, allowed),
                nearest=_nearest(name, allowed),
                allowed=allowed,
            )
        if objection.type == FORM and name in section.model_fields:
            words = section.model_fields[name].description or ""
            remedy = f"it is the {words[:1].lower()}{words[1:].rstrip('.')}" if words else made.remedy
            return replace(made, what="has signs that are not allowed here", remedy=remedy)
        if objection.type == MISSING and name in section.model_fields:
            extra = section.model_fields[name].json_schema_extra
            examples = extra.get("examples") if isinstance(extra, dict) else None
            if isinstance(examples, list):
                return replace(made, remedy=f"add it, such as {name} = {_written(examples[0])}")
        return made

    def _elsewhere(self, name: str, allowed: tuple[str, ...]) -> str:
        """Remedy for a key that a section does not have."""
        if near := _nearest(name, allowed):
            return f"write {near}"
        others = f"known here are {', '.join(allowed)}"
        other = next((key for key in _keys_by_name(self.schema, name) if key.section), None)
        return f"write it under {other.section}" if other is not None else f"remove it: {others}"

    def _put_right(self, objection: Objection, fault: FileFault) -> bool:
        """Put a fault right in memory; False if nobody knows how."""
        *way, name = objection.location or ("",)
        parent = _at(self.data, way)
        if objection.type == UNKNOWN and isinstance(parent, dict):
            value = parent.pop(name)
            if fault.nearest and fault.nearest not in parent:
                parent[fault.nearest] = value
                self._renamed[*way, fault.nearest] = self._in_file(objection.location)
            return True
        if objection.type in (MISSING, INCOHERENT):
            return False
        return self._drop(objection.location)

    def _drop(self, location: Location) -> bool:
        """Take the key around a value out of the data, if it has a default."""
        for length in range(len(location), 0, -1):
            section, depth = schema_at(self.schema, self.data, location[: length - 1])
            name, parent = location[length - 1], _at(self.data, location[: length - 1])
            is_key = depth == length - 1 and section is not None and isinstance(parent, dict)
            field = section.model_fields.get(str(name)) if is_key and section is not None else None
            if field is not None:
                if field.is_required() or not isinstance(parent, dict) or name not in parent:
                    return False
                del parent[name]
                self._dropped.add(location[:length])
                return True
        return False


def _keys_by_name(schema: type[BaseModel], name: str) -> Iterator[Key]:
    return (key for key in keys_of(schema) if key.name == name and key.path[-1] != ANY)


def _heading(location: Location) -> str:
    """The section at a location as a heading of the file."""
    names = ".".join(str(part) for part in location if isinstance(part, str))
    if not names:
        return "the file"
    return escaped(f"[[{names}]]" if len(location) > 1 and isinstance(location[-1], int) else f"[{names}]")


def _nearest(name: str, names: Iterable[str]) -> str:
    return next(iter(get_close_matches(name, list(names), 1, CLOSE)), "")


def _at(data: Any, way: Iterable[int | str]) -> Any:
    for part in way:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _written(value: object) -> str:
    """A value as a TOML file has it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_written(part)}' for key, part in value.items())} }}"
    return str(value)


def error_of(faults: list[FileFault], whole: str) -> InvalidContentError:
    """Make the error of a file from its first fault and the number of the others.

    Args:
        faults: at least one.
        whole: command that lists all of them.
    """
    first, *others = faults
    remedy = first.remedy if not others else f"{first.remedy} ({len(others)} more: `{whole}` lists all)"
    return InvalidContentError(first.where, first.what, remedy)
