"""Submission of a run to Flower: `run.json` in the run's folder."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from common.errors import OptionError, StateError
from common.files import write_whole

FILE_NAME = "run.json"


class Submission(BaseModel):
    """Content of `run.json`: Flower's number of the run, and what hospitals approve.

    Attributes:
        id: name of the run and its folder.
        flower_run: Flower's number of the latest submission.
        digest: of the federation file.
        bundle: hash of the bundle.
        submitted: when the run began, ISO 8601 in UTC.
        ended: how it ended, set by who followed it to its end or ended it; None while nobody did.
        earlier: Flower's numbers of the submissions before it was resumed.
        named: whether hospitals' receipts have the name of the run, and not Flower's number as in earlier versions.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    flower_run: int
    digest: str
    bundle: str
    submitted: str
    ended: str | None = None
    earlier: tuple[int, ...] = ()
    named: bool = False

    def write(self, out: Path) -> None:
        """Write `run.json` into the run's folder, whole or not at all."""
        write_whole(out / FILE_NAME, self.model_dump_json(indent=2).encode() + b"\n")


def read_submission(out: Path) -> Submission | None:
    """Read `run.json` in a run's folder; None if the run was never handed to Flower."""
    path = out / FILE_NAME
    return Submission.model_validate_json(path.read_bytes()) if path.is_file() else None


def last_folder(runs: Path) -> Path | None:
    """The folder of the run that was begun or changed last."""
    folders = [path for path in runs.iterdir() if path.is_dir()]
    return max(folders, key=lambda path: path.stat().st_ctime_ns) if folders else None


def named_folder(runs: Path, run: str) -> Path:
    """Return the folder of a run by its name.

    Raises:
        OptionError: if there is no such run.
    """
    names = sorted(path.name for path in runs.iterdir() if path.is_dir())
    if run not in names:
        raise OptionError(
            str(runs), f"there is no run {run}", f"the last ones are {', '.join(names[-3:]) or 'none'}"
        )
    return runs / run


def submitted(out: Path) -> Submission:
    """Return the submission of a run.

    Raises:
        StateError: if it was never handed to Flower.
    """
    if (submission := read_submission(out)) is None:
        raise StateError(str(out), "was never handed to Flower", "begin a new run")
    return submission
