"""Kinds of record that a federation file can name, and where the code of a kind is.

A kind is objects that are named as `module:object` and imported when first asked for: a hospital's process imports
nothing of another kind, and nothing of a study.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from common.agreement.agreement import PATIENTS, Agreement
from common.errors import InvalidContentError


@dataclass(frozen=True)
class Kind:
    """Import paths of the parts of a kind of record.

    Attributes:
        agreement: subclass of `common.agreement.agreement.Agreement`.
        family: `common.families.family.Family`.
        reader: `client.families.reader.Reader`.
        study: `simulations.families.study.Study`; None for a kind that is not simulated.
    """

    agreement: str
    family: str
    reader: str
    study: str | None = None


_KINDS = {
    PATIENTS: Kind(
        agreement="common.agreement.federation:Federation",
        family="common.families.patients:FAMILY",
        reader="client.families.patients:READER",
        study="simulations.families.patients.study:STUDY",
    )
}


def register_kind(name: str, kind: Kind) -> None:
    """Add a kind of record.

    Raises:
        ValueError: if the name is taken by another kind.
    """
    if _KINDS.setdefault(name, kind) != kind:
        raise ValueError(f"there is a kind of record called {name} already")


def kind_named(name: str, where: str = "the federation file") -> Kind:
    """The kind of record of that name.

    Raises:
        InputError: if there is none; `where` says who asks.
    """
    kind = _KINDS.get(name)
    if kind is None:
        what = "names a kind of record that is not here"
        remedy = f"use {' or '.join(sorted(_KINDS))}, or name the plug-in that brings it under [[plugins]]"
        raise InvalidContentError(f"{where}, kind", what, remedy)
    return kind


def part(path: str) -> Any:
    """The object at `module:object`."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def agreement_class(name: str, where: str) -> type[Agreement]:
    """The schema of a kind's federation file.

    Raises:
        InputError: if there is no such kind.
    """
    schema: type[Agreement] = part(kind_named(name, where).agreement)
    return schema
