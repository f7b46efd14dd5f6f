"""Note of the columns that lie far from other hospitals', by the sums of the last run."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from client.site_folder.places import Home
from common.errors import UnreadableFileError
from common.files import write_whole


class FarColumns(BaseModel):
    """Columns of this hospital that lie far from the other hospitals'.

    Attributes:
        federation: digest of the agreement under which hospitals were compared.
        at: when it was first told, ISO 8601 in UTC.
        columns: in words, with the hospital's own names and no value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    federation: str
    at: str
    columns: tuple[str, ...]


def read_far(home: Home) -> FarColumns | None:
    """Read the note; None if the last run told of no column.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        return FarColumns.model_validate_json(home.far.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UnreadableFileError(
            str(home.far), "is damaged", "remove it; the next run writes it anew"
        ) from None


def note_far(home: Home, federation: str, columns: tuple[str, ...]) -> bool:
    """Write the note of the columns, or remove it without any; return whether it changed."""
    try:
        before = read_far(home)
    except UnreadableFileError:
        before = None
    if not columns:
        home.far.unlink(missing_ok=True)
        return before is not None
    if before is not None and (before.federation, before.columns) == (federation, columns):
        return False
    at = datetime.now(UTC).isoformat(timespec="seconds")
    note = FarColumns(federation=federation, at=at, columns=columns)
    write_whole(home.far, note.model_dump_json(indent=2).encode() + b"\n", mode=0o600)
    return True
