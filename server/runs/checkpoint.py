"""Checkpoint of a run on disk: its state as JSON and safetensors.

Another process continues the run from there.

The arrays are written first, under a new name, and the JSON that names them replaces the older one in one step: a
reader sees one state or the next, never a mixture. That JSON is sealed, and holds the SHA-256 of every other file and
of the journal so far: a checkpoint of which any byte differs is refused.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from flwr.app import ArrayRecord
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import IntegrityError
from common.files import write_whole
from common.messages.exchange import StatisticsReply
from common.sealed_json import BrokenSealError, digests, sealed, unsealed
from server.aggregation.hospital_weights import FirstNumbers
from server.aggregation.model_exchange import packed, unpacked
from server.aggregation.scores import SiteLoss
from server.participants.roster import Roster
from server.records.dropped import Dropped
from server.records.journal import JournalMark, RoundRecord, check_journal
from server.runs.model_selection import Selection, TailMean
from server.runs.state import RunState

STATE = "state.json"


class Checkpoint(Protocol):
    """Keeper of a run's last state."""

    def read(self) -> RunState | None:
        """The state that was written last; None before the first."""
        ...

    def write(self, state: RunState) -> str | None:
        """Keep a state in place of the last.

        Returns:
            SHA-256 of the checkpoint, to be entered in the journal; None to enter none.
        """
        ...

    def check(self, state: RunState, out: Path) -> str | None:
        """Hold the journal in the run's folder against a state that was read.

        Returns:
            SHA-256 of the checkpoint, if the journal lacks its entry.

        Raises:
            IntegrityError: if it is not the one that belongs to the state.
        """
        ...


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _KeptFile(_File):
    round: int
    loss: float | None
    lowest: dict[str, SiteLoss]
    margin: float
    waited: int
    recent: tuple[dict[str, SiteLoss], ...] = ()
    floor: dict[str, SiteLoss] = Field(default_factory=dict)


class _RosterFile(_File):
    """A roster without sums: preprocessing was made of them, and they are not needed again."""

    patients: dict[str, int]
    withheld: dict[str, dict[str, float]]
    nodes: dict[str, int]
    left_out: tuple[Dropped, ...]
    sha256: dict[str, str]


class _StateFile(_File):
    """JSON part of a checkpoint.

    `files` has the SHA-256 of every other file of the checkpoint; `names` and `prepared` keep the order of arrays,
    which safetensors does not.
    """

    version: Literal[3] = 3
    arrays: str = Field(pattern=r"^arrays-[0-9]+\.safetensors$")
    files: dict[str, str]
    journal: JournalMark
    digest: str
    rounds: int
    fold: int
    seed: int
    steps: int
    number: int
    trained: int
    misses: int
    missed: bool
    finished: bool
    kept: _KeptFile
    tail: int
    first_numbers: FirstNumbers
    names: tuple[str, ...]
    prepared: tuple[str, ...]
    memory: tuple[str, ...]
    roster: _RosterFile
    record: RoundRecord | None


class CheckpointFolder:
    """A checkpoint in a folder.

    Args:
        folder: nothing else belongs into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, state: RunState) -> str | None:
        """Keep a state in place of the last, whole and durably."""
        name = f"arrays-{state.steps}.safetensors"
        content = save(_arrays(state))
        write_whole(self.folder / name, content)
        file = _written(state, name, self._digests(name, content, state.steps))
        whole = sealed(file.model_dump_json().encode())
        before = self._replace(whole)
        for other in self.folder.glob("arrays-*.safetensors"):
            if other.name not in (name, before):
                other.unlink()
        return self._anchor(whole)

    def check(self, state: RunState, out: Path) -> str | None:
        """See `Checkpoint.check`."""
        check_journal(out, state.journal, state.record)
        return None

    def read(self) -> RunState | None:
        """The state that was written last; None before the first.

        Raises:
            IntegrityError: if a file is missing, damaged or was changed.
        """
        path = self.folder / STATE
        try:
            file = _StateFile.model_validate_json(unsealed(path.read_bytes()))
            content = (self.folder / file.arrays).read_bytes()
            if self._digests(file.arrays, content, file.steps) != file.files:
                raise _damaged(self.folder)
            return _read(file, load(content))
        except FileNotFoundError:
            if not path.exists():
                return None
            raise _damaged(self.folder) from None
        except (BrokenSealError, ValidationError, SafetensorError, KeyError):
            raise _damaged(self.folder) from None

    def _replace(self, whole: bytes) -> str:
        """Write the JSON part in place of the last; return the name of other arrays to keep, if any."""
        write_whole(self.folder / STATE, whole)
        return ""

    def _anchor(self, whole: bytes) -> str | None:
        """Return what the journal says of a checkpoint with this JSON part."""
        return None

    def _beside(self, steps: int) -> Iterable[Path]:
        """The files that belong to a state beside its arrays, written before it."""
        return ()

    def _digests(self, arrays: str, content: bytes, steps: int) -> dict[str, str]:
        return {
            arrays: hashlib.sha256(content).hexdigest(),
            **digests(self.folder, self._beside(steps)),
        }


def _damaged(folder: Path) -> IntegrityError:
    return IntegrityError(str(folder), "is a damaged checkpoint", "remove it and begin the run again")


def _arrays(state: RunState) -> dict[str, NDArray[Any]]:
    """Return all arrays of a state by part and name.

    Kept weights that equal the last weights are not repeated.
    """
    parts: dict[str, Mapping[str, NDArray[Any]]] = {
        "last": state.arrays,
        "kept": {} if _kept_is_last(state) else unpacked(state.kept.arrays),
        "tail": state.tail.sums,
        "prepared": state.preprocessing,
        **{f"memory:{name}": arrays for name, arrays in state.memory.items()},
    }
    return {
        f"{part}/{name}": np.asarray(array, order="C")
        for part, arrays in parts.items()
        for name, array in arrays.items()
    }


def _kept_is_last(state: RunState) -> bool:
    """Whether the kept weights are the last ones, bit by bit."""
    kept = unpacked(state.kept.arrays)
    return all(array.tobytes() == state.arrays[name].tobytes() for name, array in kept.items())


def _written(state: RunState, arrays: str, files: dict[str, str]) -> _StateFile:
    kept, roster = state.kept, state.roster
    return _StateFile(
        arrays=arrays,
        files=files,
        journal=state.journal,
        digest=state.digest,
        rounds=state.rounds,
        fold=state.fold,
        seed=state.seed,
        steps=state.steps,
        number=state.number,
        trained=state.trained,
        misses=state.misses,
        missed=state.missed,
        finished=state.finished,
        kept=_KeptFile(
            round=kept.round,
            loss=kept.loss,
            lowest=dict(kept.lowest),
            margin=kept.margin,
            waited=kept.waited,
            recent=tuple(dict(losses) for losses in kept.recent),
            floor=dict(kept.floor),
        ),
        tail=state.tail.count,
        first_numbers=state.first_numbers,
        names=tuple(state.arrays),
        prepared=tuple(state.preprocessing),
        memory=tuple(state.memory),
        roster=_RosterFile(
            patients={site: reply.patients for site, reply in roster.statistics.items()},
            withheld={site: dict(reply.withheld) for site, reply in roster.statistics.items()},
            nodes=roster.nodes,
            left_out=roster.left_out,
            sha256=roster.sha256,
        ),
        record=state.record,
    )


def _all(beginning: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Arrays whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(beginning): array for name, array in arrays.items() if name.startswith(beginning)
    }


def _read(file: _StateFile, arrays: Mapping[str, NDArray[Any]]) -> RunState:
    def part(name: str) -> dict[str, NDArray[Any]]:
        return {parameter: arrays[f"{name}/{parameter}"] for parameter in file.names}

    last = part("last")
    is_apart = f"kept/{file.names[0]}" in arrays
    kept: ArrayRecord = packed(part("kept") if is_apart else last)
    roster = file.roster
    return RunState(
        digest=file.digest,
        rounds=file.rounds,
        fold=file.fold,
        seed=file.seed,
        roster=Roster(
            {
                site: StatisticsReply(
                    site=site, patients=patients, moments={}, withheld=roster.withheld[site]
                )
                for site, patients in roster.patients.items()
            },
            dict(roster.nodes),
            roster.left_out,
            dict(roster.sha256),
        ),
        preprocessing={name: arrays[f"prepared/{name}"] for name in file.prepared},
        arrays=last,
        kept=Selection(kept, **dict(file.kept)),
        tail=TailMean(file.rounds, part("tail") if file.tail else {}, file.tail),
        first_numbers=file.first_numbers,
        memory={name: _all(f"memory:{name}/", arrays) for name in file.memory},
        steps=file.steps,
        number=file.number,
        trained=file.trained,
        misses=file.misses,
        missed=file.missed,
        finished=file.finished,
        record=file.record,
        journal=file.journal,
    )
