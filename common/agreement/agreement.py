"""The part of a federation file that every kind of record shares, versioned and hashed.

What is trained on, and by which model, is a subclass's: `common.agreement.federation.Federation` for patients. Whatever
does not have to know works with `Agreement` alone.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import tomli_w
from pydantic import Field, ValidationError

from common.agreed import Agreed, Problem, about, nearest
from common.agreement.model_config import default_settings
from common.agreement.prior_graph import PublicFile
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import (
    LARGEST_COHORT,
    LOSS_NOISE,
    Participant,
    Rounds,
    Statistics,
    Training,
    Wire,
)
from common.agreement.strategy_names import strategy_names
from common.errors import OptionError
from common.files import write_whole
from common.plugins.plugin import Plugin
from common.reading.objections import invalid_content

FILE_NAME = "federation.toml"


PATIENTS = "patients"
"""The kind of a federation file that does not say another."""


class Agreement(Agreed):
    """Agreement of hospitals and coordinator, whatever a record is."""

    layout: ClassVar[tuple[str, ...]] = ()
    """Fields in the order in which they are hashed and written; what is not named follows as declared."""

    version: Literal[1] = Field(
        default=1,
        description="Version of this format.",
        json_schema_extra=about(example=1, change="Keep it."),
    )
    kind: str = Field(
        default=PATIENTS,
        description="Kind of record: `patients`, or what a plug-in brings.",
        json_schema_extra=about(example=PATIENTS, change="Leave it out for tables with a row per patient."),
    )
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$",
        max_length=60,
        description="Name of the federation, of letters, digits, - and _.",
        json_schema_extra=about(
            example="lung-3-hospitals", change="Choose a short one: releases are called by it."
        ),
    )
    minimum_patients: int = Field(
        default=10,
        ge=1,
        le=LARGEST_COHORT,
        description="Fewest patients with which a hospital takes part.",
        json_schema_extra=about(
            example=50,
            change="Raise it to keep hospitals out whose few patients would weigh too much.",
            unit="patients",
        ),
    )
    training: Training = Field(
        default=Training(),
        description="Settings of training.",
        json_schema_extra=about(example={"rounds": 30}, change="See its keys."),
    )
    statistics: Statistics = Field(
        default=Statistics(),
        description="Limits of the exact numbers and losses that leave a hospital without `[privacy]`.",
        json_schema_extra=about(example={"minimum_count": 10}, change="See its keys."),
    )
    rounds: Rounds = Field(
        default=Rounds(),
        description="Quorum and time limits of a round.",
        json_schema_extra=about(example={"quorum": 1.0}, change="See its keys."),
    )
    wire: Wire = Field(
        default=Wire(),
        description="Encoding of what hospitals send.",
        json_schema_extra=about(example={"update": "float16"}, change="See its keys."),
    )
    privacy: Privacy | None = Field(
        default=None,
        description="Differential privacy for every patient; without this section there is none.",
        json_schema_extra=about(
            example={"noise_multiplier": 5.7, "sampling_rate": 1.0, "expected_batch_size": 300.0},
            change="Leave it out only where every hospital agrees that weights may tell of single patients.",
        ),
    )
    participants: tuple[Participant, ...] = Field(
        min_length=1,
        description="The hospitals; nobody else takes part.",
        json_schema_extra=about(
            example=[{"name": "University Hospital A", "patients": 500}],
            change="Write one table for every hospital.",
        ),
    )
    plugins: tuple[Plugin, ...] = Field(
        default=(),
        description="Code from outside that the file needs, installed by every hospital for itself.",
        json_schema_extra=about(
            example=[{"package": "my-plugin", "version": "1.0", "sha256": "..."}],
            change="Copy the lines that `consilium plugins` prints.",
        ),
    )

    def problems(self) -> Iterator[Problem]:
        """Odd texts, names that occur twice, sizes in part, and unknown strategies."""
        for path, text in _texts(self):
            if not text.isprintable() or text != text.strip() or len(text) > LONGEST_TEXT:
                yield Problem(path, _PLAIN, "write a short plain text")
        yield from twice("participants", "name", [participant.name for participant in self.participants])
        yield from twice("plugins", "package", [plugin.package for plugin in self.plugins])
        undeclared = [number for number, part in enumerate(self.participants) if part.patients is None]
        if 0 < len(undeclared) < len(self.participants):
            what = "participants have patients in part: declare them for all hospitals or for none"
            names = ", ".join(self.participants[number].name for number in undeclared)
            yield Problem(("participants", undeclared[0]), what, f"declare patients for {names} too")
        # a plug-in registers its strategies at the coordinator, which refuses the others before anything runs
        if not self.plugins and self.training.strategy not in strategy_names():
            what = f"training.strategy is none of {', '.join(strategy_names())}"
            remedy = nearest(self.training.strategy, strategy_names(), "use one of them")
            yield Problem(("training", "strategy"), what, remedy)

    @property
    def digest(self) -> str:
        """SHA-256 of the agreement's canonical JSON: what a hospital approves.

        Fields come in the order of the schema; that of `categories` is the order of nodes, and counts.
        """
        canonical = json.dumps(self.data(), separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def data(self, exclude_none: bool = False) -> dict[str, Any]:
        """Agreement as plain data, without what a file need not name.

        Kind, plug-ins, sizes, noise, strengths, actionable columns, calibration, test, linear rounds and display names
        are left out where they are the default.
        """
        data = self.model_dump(mode="json", exclude_none=exclude_none)
        for participant in data["participants"]:
            if participant.get("patients") is None:
                participant.pop("patients", None)
        if self.kind == PATIENTS:
            del data["kind"]
        if not self.plugins:
            del data["plugins"]
        if self.statistics.loss_noise == LOSS_NOISE:
            del data["statistics"]["loss_noise"]
        for name in ("explanations", "far"):
            if getattr(self.statistics, name) == Statistics.model_fields[name].default:
                del data["statistics"][name]
        if (data.get("privacy") or {}).get("explanations_noise_multiplier") is None:
            (data.get("privacy") or {}).pop("explanations_noise_multiplier", None)
        for name in ("calibration_fraction", "test_fraction", "linear_rounds", "linear_penalty"):
            if data["training"].get(name) == Training.model_fields[name].default:
                data["training"].pop(name, None)
        for modality in data.get("modalities", ()):
            if modality.get("strength") is None:
                modality.pop("strength", None)
            if not modality.get("actionable"):
                modality.pop("actionable", None)
        if names := {key: value for key, value in data.get("display_names", {}).items() if value}:
            data["display_names"] = names
        else:
            data.pop("display_names", None)
        order = [*(name for name in self.layout if name in data), *data]
        return {name: data[name] for name in dict.fromkeys(order)}

    @property
    def public_files(self) -> tuple[PublicFile, ...]:
        """The public files that the agreement names."""
        return ()

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks, by which a hospital's policy permits them; empty without tasks."""
        return ()

    @property
    def tables(self) -> dict[str, frozenset[str]]:
        """Tables that a site folder may have -> their columns."""
        return {}

    @property
    def required_tables(self) -> tuple[str, ...]:
        """Tables that no site folder can do without."""
        return ()

    @property
    def declared_patients(self) -> dict[str, int] | None:
        """Participant -> the most patients it takes part with; None where the file declares none."""
        sizes = {participant.name: participant.patients for participant in self.participants}
        declared = {name: patients for name, patients in sizes.items() if patients is not None}
        return declared or None

    @property
    def linear_rounds(self) -> int:
        """Number of first rounds that fit the linear scores of the model alone."""
        return 0

    @property
    def steepest_score(self) -> float:
        """The most that a patient's loss rises with one weight of the linear scores."""
        return 0.0

    @property
    def quorum(self) -> int:
        """Number of participants that must reply for a round to count: the agreed share, rounded up."""
        # the subtraction keeps 0.1 * 30 = 3.0000000000000004 at 3
        return max(1, math.ceil(self.rounds.quorum * len(self.participants) - 1e-9))

    def changed(self, settings: dict[str, str]) -> Self:
        """Return a copy with settings replaced.

        They may be of model, training, statistics, rounds, wire or privacy, or `minimum_patients`.

        Raises:
            InputError: for a key that is not there or a value that does not fit.
        """
        data = self.model_dump(mode="json")
        for dotted, text in settings.items():
            section, _, key = dotted.rpartition(".")
            if section == "privacy" and data[section] is None and key in Privacy.model_fields:
                what = "needs [privacy] in the federation file or --epsilon"
                raise OptionError(f"--set {dotted}", what, "give a target, such as --epsilon 8")
            values: dict[str, Any] = (data.get(section) or {}) if section in _CHANGEABLE else {}
            if dotted == "minimum_patients":
                values = data
            if dotted == "model.kind" and "model" in data:  # another kind has other settings
                values = data["model"] = default_settings(text)
            if key not in values:
                raise OptionError(f"--set {dotted}", "is not a setting of the federation file", _SETTINGS)
            values[key] = text
        return validated(type(self), data, "--set")


def twice(section: str, key: str, names: Sequence[str]) -> Iterator[Problem]:
    """Names of a list's parts that occur a second time, where they do."""
    for number, name in enumerate(names):
        if name in names[:number]:
            what = f"{section} have a name twice, {name}"
            yield Problem((section, number, key), what, "give one of them another name, or remove it")


KeyPath = tuple[str | int, ...]


def _texts(data: object, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Pairs (path, text) of all texts and keys in a federation file."""
    if isinstance(data, str):
        yield path, data
    elif isinstance(data, Agreed):
        for name, value in data:
            yield from _texts(value, (*path, name))
    elif isinstance(data, dict):
        for key, value in data.items():
            yield path, key
            yield from _texts(value, (*path, key))
    elif isinstance(data, tuple):
        for number, value in enumerate(data):
            yield from _texts(value, (*path, number))


LONGEST_TEXT = 200
"""Characters of any one text in a federation file."""


_PLAIN = (
    "has a text that begins or ends with a blank, holds something that is not printable, or is longer than "
    f"{LONGEST_TEXT} characters"
)


_CHANGEABLE = ("model", "training", "statistics", "rounds", "wire", "privacy")


_SETTINGS = (
    "use minimum_patients, or a key of [model], [training], [statistics], [rounds], [wire] or [privacy], "
    "such as training.rounds=20"
)


A = TypeVar("A", bound=Agreement)


def validated(kind: type[A], data: dict[str, Any], where: str) -> A:
    """The agreement of a kind that plain data describes.

    Raises:
        InputError: if they do not follow its schema.
    """
    try:
        return kind.model_validate(data, strict=False)
    except ValidationError as error:
        raise invalid_content(where, error) from None


def save(agreement: Agreement, path: Path) -> None:
    """Write the federation file, whole or not at all."""
    write_whole(path, tomli_w.dumps(agreement.data(exclude_none=True)).encode())
