"""Checkpoint of a coordinator's run: its last two states.

The journal knows their hashes. The run is resumed from the last one. If its disk has spoilt it, the one before can be
put in its place by hand: its round is then asked for again, and hospitals send what they sent.
"""

import hashlib
import shlex
from pathlib import Path

from common.errors import IntegrityError
from common.files import write_whole
from common.sealed_json import unsealed
from server.home.run_lock import STATE as FOLDER
from server.records.journal import FILE_NAME as JOURNAL
from server.records.journal import CheckpointRecord, check_journal, read_journal
from server.runs.checkpoint import STATE, CheckpointFolder, _StateFile
from server.runs.state import RunState

BEFORE = "state-before.json"
"""The state before the last one."""


class RunCheckpoint(CheckpointFolder):
    """Checkpoint in the folder of a run.

    Args:
        out: the run's folder.
    """

    def __init__(self, out: Path) -> None:
        super().__init__(out / FOLDER)

    def check(self, state: RunState, out: Path) -> str | None:
        """Hold a state against the hash in the journal, and the journal against the state.

        Returns:
            SHA-256 of the checkpoint, if the journal lacks its entry.

        Raises:
            IntegrityError: if they do not belong together.
        """
        named = {record.steps: record.sha256 for record in _checkpoints(out)}
        digest = hashlib.sha256((self.folder / STATE).read_bytes()).hexdigest()
        is_next = state.steps == max(named, default=-1) + 1  # its process ended before it could enter it
        if named.get(state.steps, digest if is_next else None) != digest:
            remedy = f"put it back from a backup, or begin a new run; {_to_set_back(self.folder)}"
            raise IntegrityError(str(self.folder), "is not the checkpoint that the journal names", remedy)
        check_journal(out, state.journal, state.record, is_set_back=state.steps < max(named, default=-1))
        return digest if is_next else None

    def read(self) -> RunState | None:
        """See `CheckpointFolder.read`.

        Rounds without a quorum are counted anew, as hospitals may be back.
        """
        try:
            state = super().read()
        except IntegrityError:
            if not (self.folder / BEFORE).exists():
                raise
            what = "is a damaged checkpoint"
            remedy = f"put it back from a backup; {_to_set_back(self.folder)}"
            raise IntegrityError(str(self.folder), what, remedy) from None
        if state is not None:
            state.misses = 0
        return state

    def _replace(self, whole: bytes) -> str:
        """Keep the state before, with its arrays."""
        kept = ""
        if (self.folder / STATE).is_file():
            before = (self.folder / STATE).read_bytes()
            write_whole(self.folder / BEFORE, before)
            kept = _StateFile.model_validate_json(unsealed(before)).arrays
        write_whole(self.folder / STATE, whole)
        return kept

    def _anchor(self, whole: bytes) -> str | None:
        return hashlib.sha256(whole).hexdigest()


def _checkpoints(out: Path) -> list[CheckpointRecord]:
    records = read_journal(out) if (out / JOURNAL).is_file() else []
    return [record for record in records if isinstance(record, CheckpointRecord)]


def _to_set_back(folder: Path) -> str:
    move = shlex.join(["mv", str(folder / BEFORE), str(folder / STATE)])
    return f"to go on from the exchange before: {move}"
