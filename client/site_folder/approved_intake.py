"""Rules of intake held against those that the hospital approved."""

from pathlib import Path

from client.rules.declaration import digest
from client.site_folder.places import Approval, Home
from client.site_folder.site_file import SITE_FILE, parse_site_file
from common.errors import ApprovalError, MissingFileError


def intake_digest(folder: Path) -> str:
    """Return the SHA-256 of a site folder's rules of intake; empty if it declares none.

    Raises:
        InputError: if `site.toml`, or a file that a rule names, cannot be read.
    """
    try:
        return digest(parse_site_file(folder).intake, folder)
    except OSError as error:
        where = f"{folder / SITE_FILE}, intake"
        what = f"names a file that cannot be read ({error.strerror or type(error).__name__})"
        raise MissingFileError(where, what, "put it back, or correct its name") from None


def require_approved_intake(home: Home, approval: Approval) -> None:
    """Require that tables are read by the rules that were approved.

    Raises:
        InputError: if they have changed since.
    """
    if intake_digest(home.folder) == approval.intake:
        return
    what = "has changed since this hospital approved it, and tables are read by it"
    remedy = (
        "look at `consilium site intake`, then approve the federation file again by `consilium site approve`"
    )
    raise ApprovalError(f"{home.folder / SITE_FILE}, intake", what, remedy)
