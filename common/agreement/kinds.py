"""Kinds of record that a federation file can name, and where the code of a kind is.

A kind is objects that are named as `module:object` and imported when first asked for: a hospital's process imports
nothing of another kind, and nothing of a study.
"""

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from common.agreement.agreement import PATIENTS, Agreement
from common.errors import InvalidContentError, RegistrationError


@dataclass(frozen=True)
class Kind:
    """Import paths of the parts of a kind of record.

    Attributes:
        agreement: subclass of `common.agreement.agreement.Agreement`.
        family: `common.families.family.Family`.
        reader: `client.families.reader.Reader`.
        study: `simulations.families.study.Study`; None for a kind that is not simulated.
        intake: `client.intake.examination.Examination`; None for a kind whose tables take no rules of intake.
        predictor: `client.prediction.predictor.Predictor`; None for a kind without predictions.
        assessment: `common.assessment.part.Part` of each part of the assessment of a trained model, in order.
    """

    agreement: str
    family: str
    reader: str
    study: str | None = None
    intake: str | None = None
    predictor: str | None = None
    assessment: tuple[str, ...] = ()


_KINDS = {
    PATIENTS: Kind(
        agreement="common.agreement.federation:Federation",
        family="common.families.patients:FAMILY",
        reader="client.families.patients:READER",
        study="simulations.families.patients.study:STUDY",
        intake="client.data.intake:examine",
        predictor="client.prediction.patients.predictor:PREDICTOR",
        assessment=(
            "common.structure.part:PART",
            "common.calibration.part:PART",
            "common.intervals.part:PART",
            "common.validation.sums.part:PART",
            "common.validation.sums.part:TEST_PART",
            "common.explanation.part:PART",
        ),
    )
}


def register_kind(name: str, kind: Kind) -> None:
    """Add a kind of record.

    Raises:
        RegistrationError: if the name has another form, or is that of another kind.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name):
        form = "lower case, with digits and _ after its first letter"
        raise RegistrationError(f"kind of record {name!r}", "has not the form of a name", f"make it {form}")
    if _KINDS.setdefault(name, kind) != kind:
        raise RegistrationError(f"kind of record {name}", "is registered already", "choose another name")


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
