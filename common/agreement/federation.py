"""The federation file: what every hospital and the coordinator agree on, versioned and hashed."""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from common.agreement.modalities import Agreed, Modality
from common.agreement.settings import (
    ModelConfig,
    Participant,
    PriorGraph,
    Privacy,
    PublicFile,
    Rounds,
    Statistics,
    Training,
    Wire,
)
from common.agreement.tasks import SurvivalTask, Task
from common.errors import IntegrityError, MissingFileError, OptionError, UnreadableFileError, invalid_content
from common.files import write_whole

FILE_NAME = "federation.toml"


class Federation(Agreed):
    """The whole agreement."""

    version: Literal[1] = 1
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=60)
    minimum_patients: int = Field(default=10, ge=1)
    modalities: tuple[Modality, ...] = Field(min_length=1)
    tasks: tuple[Task, ...] = Field(min_length=1)
    prior: PriorGraph = PriorGraph()
    model: ModelConfig = ModelConfig()
    training: Training = Training()
    statistics: Statistics = Statistics()
    rounds: Rounds = Rounds()
    wire: Wire = Wire()
    privacy: Privacy | None = None
    participants: tuple[Participant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _reads_as_it_is(self) -> Self:
        for place, text in _texts(self):
            if not text.isprintable() or text != text.strip() or len(text) > LONGEST_TEXT:
                raise ValueError(f"{place} {_PLAIN}")
        return self

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for kind in ("modalities", "tasks", "participants"):
            names = [part.name for part in getattr(self, kind)]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} have a name twice")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the agreement's canonical JSON: what a hospital approves.

        Fields come in the order of the schema; that of `categories` is the order of nodes, and counts.
        """
        canonical = json.dumps(self.model_dump(mode="json"), separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def public_files(self) -> tuple[PublicFile, ...]:
        """The public files that the agreement names."""
        prior = self.prior
        return tuple(filter(None, (prior.edges, prior.pathways, prior.hierarchy)))

    @property
    def quorum(self) -> int:
        """Number of participants that must reply for a round to count: the agreed share, rounded up."""
        # the subtraction keeps 0.1 * 30 = 3.0000000000000004 at 3
        return max(1, math.ceil(self.rounds.quorum * len(self.participants) - 1e-9))

    def modality(self, name: str) -> Modality:
        """The modality of that name."""
        return next(modality for modality in self.modalities if modality.name == name)

    def survival_tasks(self) -> Iterator[SurvivalTask]:
        """The tasks that need hazard intervals."""
        return (task for task in self.tasks if isinstance(task, SurvivalTask))

    def changed(self, settings: dict[str, str]) -> "Federation":
        """A copy with settings of model, training, statistics, rounds, wire or privacy replaced, or `minimum_patients`.

        Raises:
            InputError: for a key that is not there or a value that does not fit.
        """
        data = self.model_dump(mode="json")
        for dotted, text in settings.items():
            section, _, key = dotted.rpartition(".")
            if section == "privacy" and data[section] is None and key in Privacy.model_fields:
                what = "needs [privacy] in the federation file or --epsilon"
                raise OptionError(f"--set {dotted}", what, "give a target, such as --epsilon 8")
            place: dict[str, Any] = (data.get(section) or {}) if section in _CHANGEABLE else {}
            if dotted == "minimum_patients":
                place = data
            if key not in place:
                raise OptionError(f"--set {dotted}", "is not a setting of the federation file", _SETTINGS)
            place[key] = text
        return _validated(data, "--set")


def _texts(data: object, place: str = "") -> Iterator[tuple[str, str]]:
    """(place, text) of every text in a federation file, and of every name that it gives to a table's entry."""
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, Agreed):
        for name, value in data:
            yield from _texts(value, f"{place}.{name}".lstrip("."))
    elif isinstance(data, dict):
        for key, value in data.items():
            yield place, key
            yield from _texts(value, place)
    elif isinstance(data, tuple):
        for value in data:
            yield from _texts(value, place)


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


def _validated(data: dict[str, Any], where: str) -> Federation:
    try:
        return Federation.model_validate(data, strict=False)
    except ValidationError as error:
        raise invalid_content(where, error) from None


def load(path: Path) -> Federation:
    """Read a federation file and check the public files it names.

    Raises:
        InputError: if it cannot be read, does not follow the schema, or a named file has other content.
    """
    try:
        federation = _validated(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError:
        raise MissingFileError(
            str(path), "there is no such file", f"name a folder that holds {FILE_NAME}"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableFileError(
            str(path), f"cannot be read as TOML ({type(error).__name__})", "correct it"
        ) from None
    for file in federation.public_files:
        if not (path.parent / file.path).is_file():
            raise MissingFileError(str(path.parent / file.path), "is missing", "copy it from the coordinator")
        if PublicFile.of(path.parent, file.path).sha256 != file.sha256:
            raise IntegrityError(
                str(path.parent / file.path),
                "is not the file agreed on",
                "copy it from the coordinator again",
            )
    return federation


def save(federation: Federation, path: Path) -> None:
    """Write the federation file, whole or not at all."""
    data = federation.model_dump(mode="json", exclude_none=True)
    write_whole(path, tomli_w.dumps(data).encode())
